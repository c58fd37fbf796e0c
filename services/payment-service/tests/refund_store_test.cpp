#include <algorithm>
#include <format>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "services/payment-service/tests/store_worlds.hpp"

namespace stoa::payment {
namespace {

using namespace std::chrono_literals;

class RefundStoreTest : public PaymentStoreTest {};

INSTANTIATE_TEST_SUITE_P(Stores, RefundStoreTest, both_stores(),
                         [](const auto& each) { return each.param.name; });

TEST_P(RefundStoreTest, ClosingAfterACaptureRefundsOnceHoweverOftenItIsTold) {
  const PlacedOrder order = placed();
  open({order});
  capture(order);
  const Uuid event = crypto::new_uuid();
  EXPECT_TRUE(cancel(order.order, event));
  EXPECT_FALSE(cancel(order.order, event));
  EXPECT_FALSE(cancel(order.order));
  EXPECT_EQ(claim_refunds().size(), 1U);
}

TEST_P(RefundStoreTest, TheEndIsToldOnceAnEventAndAgainForAnotherOne) {
  const PlacedOrder order = placed();
  const Uuid event = crypto::new_uuid();
  cancel(order.order, event);
  cancel(order.order, event);
  EXPECT_EQ(world_->told("payment.voided"), 1);
  cancel(order.order);
  EXPECT_EQ(world_->told("payment.voided"), 2);
}

TEST_P(RefundStoreTest, ARefusedClosingRefundIsFollowedByAnother) {
  const PlacedOrder order = placed();
  open({order});
  capture(order);
  cancel(order.order);
  const auto first = claim_refunds();
  EXPECT_TRUE(end_refund(first.at(0), RefundOutcome::Kind::failed));
  EXPECT_TRUE(claim_refunds().empty());
  world_->pass_time();
  const auto second = claim_refunds();
  ASSERT_EQ(second.size(), 1U);
  EXPECT_NE(second[0].refund.id, first[0].refund.id);
  EXPECT_FALSE(second[0].sent_before);
  EXPECT_EQ(payment_of(order.order).closing_failures, 1);
}

TEST_P(RefundStoreTest, ARefundEndsOnce) {
  const PlacedOrder order = placed();
  open({order});
  capture(order);
  ASSERT_TRUE(ask_refund(order, 300));
  const auto calls = claim_refunds();
  end_refund(calls.at(0), RefundOutcome::Kind::succeeded);
  end_refund(calls.at(0), RefundOutcome::Kind::succeeded);
  end_refund(calls.at(0), RefundOutcome::Kind::failed);
  EXPECT_EQ(payment_of(order.order).refunded_minor, 300);
  EXPECT_EQ(world_->booked_cash(), 999);
}

TEST_P(RefundStoreTest, RefundsNeverExceedTheCapture) {
  const PlacedOrder order = placed();
  open({order});
  EXPECT_EQ(ask_refund(order, 1).error().code, "payment_not_captured");
  capture(order);
  EXPECT_TRUE(ask_refund(order, 1'000));
  EXPECT_EQ(ask_refund(order, 300).error().code, "refund_exceeds_captured");
  EXPECT_TRUE(ask_refund(order, 299));
}

TEST_P(RefundStoreTest, ARepeatedRefundRequestIsAnsweredTheSame) {
  const PlacedOrder order = placed();
  open({order});
  capture(order);
  const RequestKey key{
      .origin = crypto::new_uuid(), .caller = "usr", .fingerprint = std::string(64, 'a')};
  EXPECT_FALSE(ask_refund(order, 1'000, key)->replayed);
  const auto again = ask_refund(order, 1'000, key);
  EXPECT_TRUE(again->replayed);
  EXPECT_EQ(again->body, "{\"n\":1}");
  EXPECT_EQ(payment_of(order.order).pending_minor, 1'000);

  RequestKey other = key;
  other.fingerprint = std::string(64, 'b');
  EXPECT_EQ(ask_refund(order, 1, other).error().code, "idempotency_key_reused");
}

TEST_P(RefundStoreTest, ARefusedRefundRequestLeavesItsKeyFree) {
  const PlacedOrder order = placed();
  open({order});
  const RequestKey key{
      .origin = crypto::new_uuid(), .caller = "usr", .fingerprint = std::string(64, 'a')};
  EXPECT_FALSE(ask_refund(order, 1, key));
  capture(order);
  EXPECT_TRUE(ask_refund(order, 1, key));
}

TEST_P(RefundStoreTest, ARefundWithoutAWordComesBackAndIsAskedFor) {
  const PlacedOrder order = placed();
  open({order});
  capture(order);
  ASSERT_TRUE(ask_refund(order, 1));
  const auto calls = claim_refunds();
  EXPECT_FALSE(calls.at(0).sent_before);
  run(store().postpone_refund(soon(), calls[0].refund.id, 1h));
  EXPECT_TRUE(claim_refunds().empty());
  world_->pass_time();
  const auto again = claim_refunds();
  EXPECT_TRUE(again.at(0).sent_before);
  EXPECT_EQ(again[0].refund.status, RefundStatus::unknown);
}

TEST_P(RefundStoreTest, SettlingByHandLeavesTheProvidersCash) {
  const PlacedOrder order = placed();
  open({order});
  capture(order);
  cancel(order.order);
  const RefundId id = claim_refunds().at(0).refund.id;
  const auto call = run(store().claim_refund(soon(), id, lease));
  EXPECT_TRUE(run(store().record_refund_by_hand(soon(), *call, "bank transfer 7")));
  EXPECT_FALSE(run(store().record_refund_by_hand(soon(), *call, "bank transfer 7")));
  EXPECT_EQ(world_->booked_cash(), 1'299);
  EXPECT_EQ(payment_of(order.order).refunded_minor, 1'299);
  EXPECT_EQ(world_->told("payment.refunded"), 1);
  EXPECT_FALSE(run(store().claim_refund(soon(), id, lease)));
}

TEST_P(RefundStoreTest, ShowsAPaymentToItsCustomerAndToStaffOnly) {
  const PlacedOrder order = placed();
  open({order});
  const Viewer owner{.user = order.customer};
  const Viewer stranger{.user = {crypto::new_uuid()}};
  const Viewer staff{.user = {crypto::new_uuid()}, .sees_all = true};
  EXPECT_TRUE(run(store().find(soon(), order.payment, owner)));
  EXPECT_TRUE(run(store().find(soon(), order.payment, staff)));
  EXPECT_EQ(run(store().find(soon(), order.payment, stranger)).error().code, "payment_not_found");
  EXPECT_TRUE(run(store().find_by_order(soon(), order.order, owner)));
  EXPECT_FALSE(run(store().find_by_order(soon(), order.order, stranger)));
}

TEST_P(RefundStoreTest, ShowsNoPaymentForAnOrderThatWasNeverPlaced) {
  const PlacedOrder order = placed();
  cancel(order.order);
  const Viewer staff{.user = {}, .sees_all = true};
  EXPECT_FALSE(run(store().find_by_order(soon(), order.order, staff)));
  EXPECT_EQ(state_for_order(payment_of(order.order)), "voided");
}

TEST_P(RefundStoreTest, PagesThroughTheLedgerNewestFirst) {
  std::vector<PlacedOrder> orders{placed(), placed(), placed()};
  open(orders);
  for (const PlacedOrder& order : orders) capture(order);
  std::ranges::sort(orders, {}, &PlacedOrder::attempt);  // ids of one millisecond have any order
  ListEntries cash{.account = "provider_cash", .limit = 2, .with_total = true};
  const auto first = run(store().entries(soon(), cash));
  ASSERT_EQ(first.entries.size(), 2U);
  EXPECT_TRUE(first.has_more);
  EXPECT_EQ(first.entries[0].transaction, orders[2].attempt.uuid);
  cash.before =
      LedgerPosition{.transaction = first.entries[1].transaction, .line = first.entries[1].line};
  const auto second = run(store().entries(soon(), cash));
  ASSERT_EQ(second.entries.size(), 1U);
  EXPECT_FALSE(second.has_more);
  EXPECT_EQ(second.entries[0].transaction, orders[0].attempt.uuid);
  EXPECT_EQ(first.total, ListTotal{3});
  EXPECT_EQ(second.total, ListTotal{3}) << "the same on every page";
  EXPECT_EQ(run(store().entries(soon(), {.with_total = true})).total, ListTotal{6});
  EXPECT_EQ(run(store().entries(soon(), {})).total, std::nullopt) << "nobody asked";
}

TEST(LongLedgerTest, IsCountedAmongItsNewestEntries) {
  PgWorld world;
  const auto total = [&](std::string account) {
    ListEntries query{.account = std::move(account), .limit = 1, .with_total = true};
    return *testing_support::run_on(world.loops(), world.store().entries({}, std::move(query)))
                .total;
  };
  const auto add = [&](std::int64_t transactions) {
    world.sql(std::format(
        "INSERT INTO ledger_entries (transaction_id, line, account, amount_minor, currency, kind)"
        " SELECT t, line, CASE line WHEN 1 THEN 'provider_cash' ELSE 'captured_payments' END,"
        " CASE line WHEN 1 THEN 100 ELSE -100 END, 'EUR', 'capture'"
        " FROM (SELECT gen_random_uuid() AS t FROM generate_series(1, {})) AS made,"
        " generate_series(1, 2) AS line",
        transactions));
  };
  add(list_counted_max / 2);
  EXPECT_EQ(total(""), (ListTotal{list_counted_max, true}));
  EXPECT_EQ(total("provider_cash"), (ListTotal{list_counted_max / 2, true}));
  add(1);
  EXPECT_EQ(total(""), (ListTotal{list_counted_max, false}));
  EXPECT_FALSE(total("provider_cash").exact) << "older ones were not looked at";
  EXPECT_EQ(total("unexplained"), (ListTotal{0, false}));
}

TEST_P(RefundStoreTest, AProviderEventIsStoredOnceAndHurriesWhatItTellsOf) {
  const PlacedOrder order = placed();
  open({order});
  record(order, std::nullopt);
  const ProviderEvent event{
      .id = "whk_1", .type = "payment.captured", .key = order.attempt.str(), .body = "{}"};
  EXPECT_TRUE(run(store().store_provider_event(soon(), event)));
  EXPECT_FALSE(run(store().store_provider_event(soon(), event)));
  EXPECT_TRUE(claim().empty());
  EXPECT_EQ(run(store().act_on_provider_events(soon(), 100)), 1U);
  EXPECT_EQ(run(store().act_on_provider_events(soon(), 100)), 0U);
  EXPECT_EQ(claim().size(), 1U);
}

}  // namespace
}  // namespace stoa::payment
