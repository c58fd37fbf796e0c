#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/crypto/crypto.hpp"
#include "servicekit/postgres/database.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/private_postgres.hpp"
#include "servicekit/testing/run.hpp"

#include "services/payment-service/adapters/pg_payment_store.hpp"
#include "services/payment-service/config.hpp"
#include "services/payment-service/tests/fake_payment_store.hpp"

// One suite over the fake and over PostgreSQL: what the use cases are tested with is what they get.
namespace stoa::payment {
namespace {

using namespace std::chrono_literals;
using testing_support::PrivatePostgres;

constexpr Money price{1'299, currencies::eur};
constexpr std::chrono::milliseconds lease = 10s;

/// A store with what a test needs beside it.
class World {
 public:
  virtual ~World() = default;
  virtual PaymentStore& store() = 0;
  virtual Loops& loops() = 0;
  /// Ends every lease and pause.
  virtual void pass_time() = 0;
  virtual std::int64_t told(const std::string& type) = 0;
  virtual std::int64_t booked_cash() = 0;
};

class FakeWorld final : public World {
 public:
  PaymentStore& store() override { return store_; }
  Loops& loops() override { return loops_; }
  void pass_time() override { store_.now += 1h; }
  std::int64_t told(const std::string& type) override {
    const std::map<std::string, Happening::Kind> kinds{
        {"payment.captured", Happening::Kind::captured},
        {"payment.declined", Happening::Kind::declined},
        {"payment.voided", Happening::Kind::voided},
        {"payment.refunded", Happening::Kind::refunded}};
    return std::ranges::count_if(
        store_.told, [&](const auto& each) { return each.second.kind == kinds.at(type); });
  }
  std::int64_t booked_cash() override {
    std::int64_t sum = 0;
    for (const auto& [transaction, entry] : store_.ledger) {
      if (entry.account == Account::provider_cash) sum += entry.amount.minor_units();
    }
    return sum;
  }

 private:
  Loops loops_{1};
  FakePaymentStore store_;
};

class PgWorld final : public World {
 public:
  PgWorld() { database_.start(); }
  PaymentStore& store() override { return store_; }
  Loops& loops() override { return loops_; }
  void pass_time() override {
    sql("UPDATE attempts SET due_at = now(); UPDATE refunds SET due_at = now(); SELECT 1");
  }
  std::int64_t told(const std::string& type) override {
    return std::stoll(sql("SELECT count(*) FROM outbox WHERE type = '" + type + "'"));
  }
  std::int64_t booked_cash() override {
    return std::stoll(
        sql("SELECT coalesce(sum(amount_minor), 0) FROM ledger_entries WHERE account "
            "= 'provider_cash'"));
  }

 private:
  std::string sql(const std::string& statements) { return PrivatePostgres::sql(dsn_, statements); }

  Secret<> dsn_ = PrivatePostgres::shared().database(migrations());
  telemetry::Telemetry telemetry_{{.service = "payment-service", .log_level = "off"}};
  Loops loops_{1};
  postgres::Database database_{loops_, {.dsn = dsn_, .application_name = "test"}, telemetry_};
  PgPaymentStore store_{database_, telemetry_, [] {}};
};

struct Maker {
  std::string name;
  std::function<std::unique_ptr<World>()> make;

  friend std::ostream& operator<<(std::ostream& out, const Maker& maker) {
    return out << maker.name;
  }
};

class PaymentStoreTest : public testing::TestWithParam<Maker> {
 protected:
  template <class T>
  T run(Task<T> task) {
    return testing_support::run_on(world_->loops(), std::move(task));
  }
  PaymentStore& store() { return world_->store(); }
  static Context soon() {
    const Context context;
    return context.within(5s);
  }

  static PlacedOrder placed(OrderId order = {crypto::new_uuid()}) {
    return {.event = crypto::new_uuid(),
            .order = order,
            .customer = {crypto::new_uuid()},
            .amount = price,
            .token = "tok_ok",
            .traceparent = "",
            .payment = {crypto::new_uuid()},
            .attempt = {crypto::new_uuid()}};
  }

  std::vector<AttemptId> open(std::vector<PlacedOrder> orders, std::size_t leased_max = 100) {
    return run(store().open(soon(), std::move(orders), leased_max, lease));
  }
  std::vector<Charge> claim(std::size_t count_max = 100) {
    return run(store().claim_charges(soon(), count_max, lease));
  }

  static Charge charge_of(const PlacedOrder& order) {
    return {.attempt = order.attempt,
            .payment = order.payment,
            .order = order.order,
            .customer = order.customer,
            .amount = order.amount,
            .token = order.token,
            .traceparent = order.traceparent};
  }

  bool record(const PlacedOrder& order, std::optional<ChargeOutcome> outcome) {
    std::vector<ChargeResult> results;
    results.push_back({.charge = charge_of(order), .outcome = std::move(outcome), .retry_in = 1h});
    return run(store().record_charges(soon(), std::move(results)));
  }
  bool capture(const PlacedOrder& order) {
    return record(
        order, ChargeOutcome{.kind = ChargeOutcome::Kind::captured, .provider_payment = "psp_1"});
  }

  bool cancel(OrderId order, Uuid event = crypto::new_uuid()) {
    return run(store().close_order(soon(), {.event = event,
                                            .order = order,
                                            .customer = {crypto::new_uuid()},
                                            .traceparent = "",
                                            .spare_payment = {crypto::new_uuid()}}));
  }

  Result<Answer> ask_refund(const PlacedOrder& order, std::int64_t minor,
                            RequestKey key = {.origin = crypto::new_uuid(),
                                              .caller = "usr",
                                              .fingerprint = std::string(64, 'a')}) {
    return run(store().request_refund(soon(),
                                      {.id = {crypto::new_uuid()},
                                       .payment = order.payment,
                                       .amount = Money{minor, currencies::eur},
                                       .reason = "broken",
                                       .requested_by = "usr",
                                       .traceparent = ""},
                                      std::move(key),
                                      {.status = 202, .headers = "", .body = "{\"n\":1}"}));
  }
  std::vector<RefundCall> claim_refunds() { return run(store().claim_refunds(soon(), 100, lease)); }
  bool end_refund(const RefundCall& call, RefundOutcome::Kind kind) {
    return run(store().record_refund(soon(), call, {.kind = kind, .failure = "refund_refused"}));
  }
  Payment payment_of(OrderId order) { return *run(store().payment_of_order(soon(), order)); }

  std::unique_ptr<World> world_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(
    Stores, PaymentStoreTest,
    testing::Values(Maker{"Fake", [] { return std::make_unique<FakeWorld>(); }},
                    Maker{"Postgres", [] { return std::make_unique<PgWorld>(); }}),
    [](const auto& each) { return each.param.name; });

TEST_P(PaymentStoreTest, OpensOneAttemptForAnOrderHoweverOftenItIsTold) {
  const PlacedOrder first = placed();
  const PlacedOrder other_event = placed(first.order);
  PlacedOrder redelivered = placed(first.order);
  redelivered.event = first.event;
  EXPECT_EQ(open({first, other_event, redelivered}), std::vector{first.attempt});
  EXPECT_TRUE(open({redelivered}).empty());
  world_->pass_time();
  EXPECT_EQ(claim().size(), 1U);
}

TEST_P(PaymentStoreTest, LeasesOnlyWhatTheWorkerHasRoomFor) {
  const std::vector<PlacedOrder> orders{placed(), placed(), placed()};
  EXPECT_EQ(open(orders, 2).size(), 2U);
  EXPECT_EQ(claim().size(), 1U);
  EXPECT_TRUE(claim().empty());
}

TEST_P(PaymentStoreTest, HandsAnAttemptOnWhenItsLeaseHasEnded) {
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

TEST_P(PaymentStoreTest, BooksACaptureOnceHoweverOftenItIsRecorded) {
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

TEST_P(PaymentStoreTest, RecordsSeveralOutcomesOfABatch) {
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

TEST_P(PaymentStoreTest, AnUnknownAttemptComesBackLaterAndCountsItsTries) {
  const PlacedOrder order = placed();
  open({order});
  record(order, std::nullopt);
  EXPECT_TRUE(claim().empty());
  world_->pass_time();
  const auto claimed = claim();
  ASSERT_EQ(claimed.size(), 1U);
  EXPECT_EQ(claimed[0].tries, 1);
}

TEST_P(PaymentStoreTest, AnOrderThatIsClosedFirstIsNeverCharged) {
  const PlacedOrder order = placed();
  EXPECT_FALSE(cancel(order.order));
  EXPECT_EQ(world_->told("payment.voided"), 1);
  EXPECT_TRUE(open({order}).empty());
  world_->pass_time();
  EXPECT_TRUE(claim().empty());
}

TEST_P(PaymentStoreTest, ClosingDuringAnAttemptWaitsAndThenGivesItBack) {
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

TEST_P(PaymentStoreTest, ClosingAnUnknownAttemptAsksForItAtOnce) {
  const PlacedOrder order = placed();
  open({order});
  record(order, std::nullopt);
  cancel(order.order);
  EXPECT_EQ(claim().size(), 1U);
}

TEST_P(PaymentStoreTest, ClosingAfterACaptureRefundsOnceHoweverOftenItIsTold) {
  const PlacedOrder order = placed();
  open({order});
  capture(order);
  const Uuid event = crypto::new_uuid();
  EXPECT_TRUE(cancel(order.order, event));
  EXPECT_FALSE(cancel(order.order, event));
  EXPECT_FALSE(cancel(order.order));
  EXPECT_EQ(claim_refunds().size(), 1U);
}

TEST_P(PaymentStoreTest, ARefusedClosingRefundIsFollowedByAnother) {
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

TEST_P(PaymentStoreTest, ARefundEndsOnce) {
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

TEST_P(PaymentStoreTest, RefundsNeverExceedTheCapture) {
  const PlacedOrder order = placed();
  open({order});
  EXPECT_EQ(ask_refund(order, 1).error().code, "payment_not_captured");
  capture(order);
  EXPECT_TRUE(ask_refund(order, 1'000));
  EXPECT_EQ(ask_refund(order, 300).error().code, "refund_exceeds_captured");
  EXPECT_TRUE(ask_refund(order, 299));
}

TEST_P(PaymentStoreTest, ARepeatedRefundRequestIsAnsweredTheSame) {
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

TEST_P(PaymentStoreTest, ARefusedRefundRequestLeavesItsKeyFree) {
  const PlacedOrder order = placed();
  open({order});
  const RequestKey key{
      .origin = crypto::new_uuid(), .caller = "usr", .fingerprint = std::string(64, 'a')};
  EXPECT_FALSE(ask_refund(order, 1, key));
  capture(order);
  EXPECT_TRUE(ask_refund(order, 1, key));
}

TEST_P(PaymentStoreTest, ARefundWithoutAWordComesBackAndIsAskedFor) {
  const PlacedOrder order = placed();
  open({order});
  capture(order);
  ask_refund(order, 1);
  const auto calls = claim_refunds();
  EXPECT_FALSE(calls.at(0).sent_before);
  run(store().postpone_refund(soon(), calls[0].refund.id, 1h));
  EXPECT_TRUE(claim_refunds().empty());
  world_->pass_time();
  const auto again = claim_refunds();
  EXPECT_TRUE(again.at(0).sent_before);
  EXPECT_EQ(again[0].refund.status, RefundStatus::unknown);
}

TEST_P(PaymentStoreTest, SettlingByHandLeavesTheProvidersCash) {
  const PlacedOrder order = placed();
  open({order});
  capture(order);
  cancel(order.order);
  const RefundId id = claim_refunds().at(0).refund.id;
  const auto call = run(store().claim_refund(soon(), id, lease));
  run(store().record_refund_by_hand(soon(), *call, "bank transfer 7"));
  EXPECT_EQ(world_->booked_cash(), 1'299);
  EXPECT_EQ(payment_of(order.order).refunded_minor, 1'299);
  EXPECT_EQ(world_->told("payment.refunded"), 1);
  EXPECT_FALSE(run(store().claim_refund(soon(), id, lease)));
}

TEST_P(PaymentStoreTest, ShowsAPaymentToItsCustomerAndToStaffOnly) {
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

TEST_P(PaymentStoreTest, ShowsNoPaymentForAnOrderThatWasNeverPlaced) {
  const PlacedOrder order = placed();
  cancel(order.order);
  const Viewer staff{.user = {}, .sees_all = true};
  EXPECT_FALSE(run(store().find_by_order(soon(), order.order, staff)));
  EXPECT_EQ(state_for_order(payment_of(order.order)), "voided");
}

TEST_P(PaymentStoreTest, PagesThroughTheLedgerNewestFirst) {
  std::vector<PlacedOrder> orders{placed(), placed(), placed()};
  open(orders);
  for (const PlacedOrder& order : orders) capture(order);
  std::ranges::sort(orders, {}, &PlacedOrder::attempt);  // ids of one millisecond have any order
  const auto first = run(store().entries(soon(), "provider_cash", std::nullopt, 2));
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].transaction, orders[2].attempt.uuid);
  const LedgerPosition position{.transaction = first[1].transaction, .line = first[1].line};
  const auto second = run(store().entries(soon(), "provider_cash", position, 2));
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].transaction, orders[0].attempt.uuid);
}

TEST_P(PaymentStoreTest, AProviderEventIsStoredOnceAndHurriesWhatItTellsOf) {
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
