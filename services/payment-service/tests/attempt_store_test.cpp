#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "services/payment-service/tests/store_worlds.hpp"

namespace stoa::payment {
namespace {

using namespace std::chrono_literals;

class AttemptStoreTest : public PaymentStoreTest {};

INSTANTIATE_TEST_SUITE_P(Stores, AttemptStoreTest, both_stores(),
                         [](const auto& each) { return each.param.name; });

TEST_P(AttemptStoreTest, OpensOneAttemptForAnOrderHoweverOftenItIsTold) {
  const PlacedOrder first = placed();
  const PlacedOrder other_event = placed(first.order);
  PlacedOrder redelivered = placed(first.order);
  redelivered.event = first.event;
  EXPECT_EQ(open({first, other_event, redelivered}), std::vector{first.attempt});
  EXPECT_TRUE(open({redelivered}).empty());
  world_->pass_time();
  EXPECT_EQ(claim().size(), 1U);
}

TEST_P(AttemptStoreTest, LeasesOnlyWhatTheWorkerHasRoomFor) {
  const std::vector<PlacedOrder> orders{placed(), placed(), placed()};
  EXPECT_EQ(open(orders, 2).size(), 2U);
  EXPECT_EQ(claim().size(), 1U);
  EXPECT_TRUE(claim().empty());
}

TEST_P(AttemptStoreTest, HandsAnAttemptOnWhenItsLeaseHasEnded) {
  const PlacedOrder order = placed();
  open({order});
  EXPECT_TRUE(claim().empty());
  world_->pass_time();
  const auto claimed = claim();
  ASSERT_EQ(claimed.size(), 1U);
  EXPECT_EQ(claimed[0].attempt, order.attempt);
  EXPECT_EQ(claimed[0].token, "tok_ok");
  EXPECT_TRUE(claimed[0].sent_before);
  EXPECT_FALSE(claimed[0].closed);
}

TEST_P(AttemptStoreTest, BooksACaptureOnceHoweverOftenItIsRecorded) {
  const PlacedOrder order = placed();
  open({order});
  capture(order);
  capture(order);
  EXPECT_EQ(payment_of(order.order).captured_minor, 1'299);
  EXPECT_EQ(world_->booked_cash(), 1'299);
  EXPECT_EQ(world_->told("payment.captured"), 1);
  world_->pass_time();
  EXPECT_TRUE(claim().empty());
}

TEST_P(AttemptStoreTest, RecordsSeveralOutcomesOfABatch) {
  const std::vector<PlacedOrder> orders{placed(), placed(), placed(), placed()};
  open(orders);
  std::vector<ChargeResult> results;
  const auto add = [&](std::size_t i, std::optional<ChargeOutcome> outcome) {
    results.push_back({.charge = charge_of(orders[i]), .outcome = std::move(outcome)});
  };
  add(0, ChargeOutcome{.kind = ChargeOutcome::Kind::captured, .provider_payment = "psp_1"});
  add(1, ChargeOutcome{.kind = ChargeOutcome::Kind::declined, .reason = "card_declined"});
  add(2, ChargeOutcome{.kind = ChargeOutcome::Kind::voided});
  add(3, std::nullopt);
  run(store().record_charges(soon(), std::move(results)));

  EXPECT_EQ(payment_of(orders[0].order).status, PaymentStatus::captured);
  EXPECT_EQ(payment_of(orders[1].order).decline_reason, "card_declined");
  EXPECT_EQ(payment_of(orders[2].order).status, PaymentStatus::voided);
  EXPECT_EQ(payment_of(orders[3].order).status, PaymentStatus::pending);
  EXPECT_EQ(world_->told("payment.captured"), 1);
  EXPECT_EQ(world_->told("payment.declined"), 1);
  EXPECT_EQ(world_->told("payment.voided"), 1);
  EXPECT_EQ(world_->booked_cash(), 1'299);
}

// A lease that ended while the provider was slow: two workers asked, and both have its answer.
TEST_P(AttemptStoreTest, TwoOutcomesOfOneAttemptInABatchAreOne) {
  const std::vector<PlacedOrder> orders{placed(), placed()};
  open(orders);
  const ChargeOutcome captured{.kind = ChargeOutcome::Kind::captured, .provider_payment = "psp_1"};
  const ChargeOutcome declined{.kind = ChargeOutcome::Kind::declined, .reason = "card_declined"};
  std::vector<ChargeResult> results;
  for (int time = 0; time < 2; ++time) {
    results.push_back({.charge = charge_of(orders[0]), .outcome = captured});
    results.push_back({.charge = charge_of(orders[1]), .outcome = declined});
  }
  run(store().record_charges(soon(), std::move(results)));

  EXPECT_EQ(payment_of(orders[0].order).captured_minor, 1'299);
  EXPECT_EQ(world_->booked_cash(), 1'299);
  EXPECT_EQ(world_->told("payment.captured"), 1);
  EXPECT_EQ(world_->told("payment.declined"), 1);
}

TEST_P(AttemptStoreTest, AnUnknownAttemptComesBackLaterAndCountsItsTries) {
  const PlacedOrder order = placed();
  open({order});
  record(order, std::nullopt);
  EXPECT_TRUE(claim().empty());
  world_->pass_time();
  const auto claimed = claim();
  ASSERT_EQ(claimed.size(), 1U);
  EXPECT_EQ(claimed[0].tries, 1);
}

TEST_P(AttemptStoreTest, AnOrderThatIsClosedFirstIsNeverCharged) {
  const PlacedOrder order = placed();
  EXPECT_FALSE(cancel(order.order));
  EXPECT_EQ(world_->told("payment.voided"), 1);
  EXPECT_TRUE(open({order}).empty());
  world_->pass_time();
  EXPECT_TRUE(claim().empty());
}

TEST_P(AttemptStoreTest, ClosingDuringAnAttemptWaitsAndThenGivesItBack) {
  const PlacedOrder order = placed();
  open({order});
  EXPECT_FALSE(cancel(order.order));
  EXPECT_EQ(world_->told("payment.voided"), 0);
  world_->pass_time();
  EXPECT_TRUE(claim().at(0).closed);

  EXPECT_TRUE(capture(order));
  const auto calls = claim_refunds();
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].refund.amount, price);
  EXPECT_EQ(calls[0].provider_payment, "psp_1");
  EXPECT_FALSE(end_refund(calls[0], RefundOutcome::Kind::succeeded));
  EXPECT_EQ(world_->booked_cash(), 0);
  EXPECT_EQ(world_->told("payment.refunded"), 1);
  EXPECT_EQ(state_for_order(payment_of(order.order)), "refunded");
}

TEST_P(AttemptStoreTest, ClosingAnUnknownAttemptAsksForItAtOnce) {
  const PlacedOrder order = placed();
  open({order});
  record(order, std::nullopt);
  cancel(order.order);
  EXPECT_EQ(claim().size(), 1U);
}

}  // namespace
}  // namespace stoa::payment
