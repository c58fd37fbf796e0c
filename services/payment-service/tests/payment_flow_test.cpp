#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/async/if_available.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/http/client.hpp"
#include "servicekit/json/json.hpp"
#include "servicekit/json/money.hpp"
#include "servicekit/postgres/database.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/private_postgres.hpp"
#include "servicekit/testing/run.hpp"

#include "services/payment-service/adapters/http_provider.hpp"
#include "services/payment-service/adapters/order_events.hpp"
#include "services/payment-service/adapters/pg_cash_book.hpp"
#include "services/payment-service/adapters/pg_payment_store.hpp"
#include "services/payment-service/app/charges.hpp"
#include "services/payment-service/app/reconciliation.hpp"
#include "services/payment-service/app/refunds.hpp"
#include "services/payment-service/config.hpp"
#include "services/payment-service/tests/simulator_process.hpp"

// The whole way of the money: the consumer's handlers, the workers, the real provider simulator and
// the real database. What a broker adds (redelivery, reordering) is played by calling the handlers.
namespace stoa::payment {
namespace {

using namespace std::chrono_literals;
using messaging::Event;
using testing_support::PrivatePostgres;

constexpr std::chrono::milliseconds patience = 20s;
constexpr double impatient = 0.2;  // of every pause

struct PlacedJson {
  std::string order_id;
  std::string customer_id;
  json::MoneyJson amount;
  struct Method {
    std::string token;
  } payment_method;
};

struct CancelJson {
  std::string order_id;
  std::string customer_id;
  std::string reason;
};

Event event(std::string type, const OrderId& order, std::string data) {
  return {.id = crypto::new_uuid(),
          .source = "order-service",
          .type = std::move(type),
          .version = 1,
          .subject = order.str(),
          .data = std::move(data)};
}

Event order_placed(const OrderId& order, const std::string& token, std::int64_t minor = 1'299) {
  return event("order.placed", order,
               json::write(PlacedJson{.order_id = order.str(),
                                      .customer_id = UserId{crypto::new_uuid()}.str(),
                                      .amount = {.amount = minor, .currency = "EUR"},
                                      .payment_method = {.token = token}}));
}

Event cancel_requested(const OrderId& order) {
  return event("order.cancel_requested", order,
               json::write(CancelJson{.order_id = order.str(),
                                      .customer_id = UserId{crypto::new_uuid()}.str(),
                                      .reason = "customer"}));
}

OrderId new_order() { return {crypto::new_uuid()}; }

/// One replica of the service's workers on the test's loop.
struct Replica {
  Replica(Loops& loops, const Secret<>& dsn, const std::string& provider_address,
          telemetry::Telemetry& telemetry)
      : database{loops, {.dsn = dsn, .application_name = "test"}, telemetry},
        client{loops,
               {.name = "payment-provider",
                .addresses = {provider_address},
                .connect_timeout = 200ms,
                .timeout = 300ms,
                .breaker_open_for = 100ms},
               telemetry},
        provider{client, Secret<>{std::string{SimulatorProcess::key}}, telemetry},
        store{database, telemetry, [] {}},
        refunds{
            loops, store, provider, [] { return impatient; }, {.lease = 1s, .call_timeout = 300ms}},
        charges{loops,
                store,
                provider,
                [] { return impatient; },
                [this] { refunds.wake(); },
                {.lease = 1s, .call_timeout = 300ms}},
        events{charges, refunds} {
    database.start();
  }

  postgres::Database database;
  http::Client client;
  HttpProvider provider;
  PgPaymentStore store;
  Refunds refunds;
  Charges charges;
  OrderEvents events;
};

class PaymentFlowTest : public testing::Test {
 protected:
  template <class T>
  T run(Task<T> task) {
    return testing_support::run_on(loops_, std::move(task));
  }

  static Context soon() {
    const Context context;
    return context.within(5s);
  }

  void placed(std::vector<Event> events) {
    for (const auto& verdict : run(replica_.events.placed(soon(), std::move(events)))) {
      EXPECT_EQ(verdict.kind, messaging::Verdict::Kind::done) << verdict.reason;
    }
  }
  void cancel(const OrderId& order) {
    run(replica_.events.cancel_requested(soon(), {cancel_requested(order)}));
  }

  /// Works on until order-service would be told `state`.
  bool reaches(const OrderId& order, std::string state) {
    return run(work_until(order, std::move(state)));
  }

  std::string sql(const std::string& statements) { return PrivatePostgres::sql(dsn_, statements); }
  std::int64_t count(const std::string& what) {
    return std::stoll(sql("SELECT count(*) FROM " + what));
  }
  std::int64_t cash() {
    return std::stoll(
        sql("SELECT coalesce(sum(amount_minor), 0) FROM ledger_entries WHERE account "
            "= 'provider_cash'"));
  }

  ReconcileReport reconcile(bool repair = false) {
    const Reconciliation::Options options{.repair = repair};
    return run(reconciliation_.run(options));
  }

  void expect_books_agree() {
    const auto report = reconcile();
    for (const Difference& difference : report.differences) ADD_FAILURE() << describe(difference);
  }

  /// The statement's lines of the order's attempts.
  std::int64_t captures_at_provider() {
    const auto page = run(replica_.provider.page(soon(), 0));
    return std::ranges::count(page.lines, "capture", &StatementLine::kind);
  }

  Task<bool> work_until(OrderId order, std::string state) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < until) {
      co_await if_available(replica_.charges.sweep(soon()));
      co_await if_available(replica_.refunds.sweep(soon()));
      const auto payment = co_await if_available(replica_.store.payment_of_order(soon(), order));
      if (payment && *payment && state_for_order(**payment) == state) co_return true;
      co_await sleep_for(20ms);
    }
    co_return false;
  }

  SimulatorProcess simulator_;
  Secret<> dsn_ = PrivatePostgres::shared().database(migrations());
  telemetry::Telemetry telemetry_{{.service = "payment-service", .log_level = "off"}};
  Loops loops_{1};
  Replica replica_{loops_, dsn_, simulator_.address(), telemetry_};
  PgCashBook book_{replica_.database};
  Reconciliation reconciliation_{replica_.provider, book_, [](std::string_view text) {
                                   return crypto::name_based_uuid({"provider-key", text});
                                 }};
};

struct TokenCase {
  std::string token;
  std::string state;
  std::string reason;
};

class EveryToken : public PaymentFlowTest, public testing::WithParamInterface<TokenCase> {};

TEST_P(EveryToken, EndsOnceAndTheBooksAgree) {
  const OrderId order = new_order();
  placed({order_placed(order, GetParam().token)});
  ASSERT_TRUE(reaches(order, GetParam().state));
  EXPECT_EQ(sql("SELECT decline_reason FROM payments"), GetParam().reason);
  EXPECT_EQ(captures_at_provider(), GetParam().state == "captured" ? 1 : 0);
  EXPECT_EQ(count("outbox"), 1);
  expect_books_agree();
}

INSTANTIATE_TEST_SUITE_P(
    Tokens, EveryToken,
    testing::Values(TokenCase{"tok_ok", "captured", ""},
                    TokenCase{"tok_declined", "declined", "card_declined"},
                    TokenCase{"tok_insufficient_funds", "declined", "insufficient_funds"},
                    TokenCase{"tok_timeout_after_capture", "captured", ""},
                    TokenCase{"tok_slow", "captured", ""},
                    TokenCase{"tok_error_then_ok", "captured", ""},
                    TokenCase{"tok_3ds", "declined", "authentication_required"},
                    TokenCase{"tok_refund_fails_once", "captured", ""},
                    TokenCase{"tok_refund_refused", "captured", ""},
                    TokenCase{"tok_refund_timeout", "captured", ""},
                    TokenCase{"tok_webhook_duplicate", "captured", ""},
                    TokenCase{"tok_webhook_late", "captured", ""},
                    TokenCase{"tok_webhook_reordered", "captured", ""},
                    TokenCase{"tok_nobody_knows", "declined", "invalid_token"}),
    [](const auto& each) { return each.param.token; });

class CancelledToken : public PaymentFlowTest, public testing::WithParamInterface<std::string> {};

TEST_P(CancelledToken, OfACancelledOrderIsGivenBackOnce) {
  const OrderId order = new_order();
  placed({order_placed(order, GetParam())});
  ASSERT_TRUE(reaches(order, "captured"));
  cancel(order);
  ASSERT_TRUE(reaches(order, "refunded"));
  EXPECT_EQ(cash(), 0);
  EXPECT_EQ(count("outbox WHERE type = 'payment.refunded' AND (data->>'closes_order')::boolean"),
            1);
  EXPECT_EQ(count("refunds WHERE status = 'succeeded'"), 1);
  expect_books_agree();
}

INSTANTIATE_TEST_SUITE_P(Tokens, CancelledToken,
                         testing::Values("tok_ok", "tok_refund_fails_once", "tok_refund_timeout",
                                         "tok_timeout_after_capture"),
                         [](const auto& each) { return each.param; });

TEST_F(PaymentFlowTest, ARefusedClosingRefundGoesOnUntilAnOperatorSettlesIt) {
  const OrderId order = new_order();
  placed({order_placed(order, "tok_refund_refused")});
  ASSERT_TRUE(reaches(order, "captured"));
  cancel(order);
  const auto until = std::chrono::steady_clock::now() + patience;
  while (count("refunds WHERE status = 'failed'") < 2) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
    run(if_available(replica_.refunds.sweep(soon())));
    run(sleep_for(20ms));
  }
  EXPECT_EQ(count("payments WHERE closing_failures > 0"), 1);

  const auto id = Uuid::parse(sql("SELECT id FROM refunds WHERE status IN ('pending', 'unknown')"));
  ASSERT_TRUE(id);
  const auto standing = run(replica_.refunds.settle_by_hand(soon(), RefundId{*id}, "transfer 7"));
  ASSERT_TRUE(standing);
  EXPECT_EQ(state_for_order(*run(replica_.store.payment_of_order(soon(), order))), "refunded");
  EXPECT_EQ(cash(), 1'299);
  expect_books_agree();
}

TEST_F(PaymentFlowTest, CancelledBeforeItWasPlacedIsNeverCharged) {
  const OrderId order = new_order();
  cancel(order);
  placed({order_placed(order, "tok_ok")});
  ASSERT_TRUE(reaches(order, "voided"));
  run(sleep_for(100ms));
  EXPECT_EQ(captures_at_provider(), 0);
  EXPECT_EQ(count("attempts"), 0);
}

TEST_F(PaymentFlowTest, CancelledWhileTheProviderIsSilentIsRefunded) {
  const OrderId order = new_order();
  placed({order_placed(order, "tok_timeout_after_capture")});
  cancel(order);
  ASSERT_TRUE(reaches(order, "refunded"));
  EXPECT_EQ(cash(), 0);
  expect_books_agree();
}

TEST_F(PaymentFlowTest, CancelledWhileTheProviderIsAwayIsVoided) {
  simulator_.kill();
  const OrderId order = new_order();
  placed({order_placed(order, "tok_ok")});
  ASSERT_TRUE(reaches(order, "unknown"));
  run(sleep_for(400ms));
  cancel(order);
  simulator_.start();
  ASSERT_TRUE(reaches(order, "voided"));
  EXPECT_EQ(captures_at_provider(), 0);
  EXPECT_EQ(count("outbox WHERE type = 'payment.voided'"), 1);
  expect_books_agree();
}

TEST_F(PaymentFlowTest, TheProviderKilledAmongManyChargesLosesAndDoublesNone) {
  constexpr int order_count = 200;
  std::vector<OrderId> orders;
  std::vector<Event> events;
  for (int i = 0; i < order_count; ++i) {
    orders.push_back(new_order());
    events.push_back(order_placed(orders.back(), "tok_ok"));
  }
  placed(events);
  run(sleep_for(10ms));
  simulator_.kill();
  run(sleep_for(100ms));
  simulator_.start();
  for (const OrderId& order : orders) ASSERT_TRUE(reaches(order, "captured"));
  EXPECT_EQ(captures_at_provider(), order_count);
  EXPECT_EQ(cash(), order_count * 1'299);
  expect_books_agree();
}

TEST_F(PaymentFlowTest, TheProviderFrozenForAWhileLosesNothing) {
  simulator_.freeze();
  const OrderId order = new_order();
  placed({order_placed(order, "tok_ok")});
  run(sleep_for(600ms));
  EXPECT_EQ(count("attempts WHERE status = 'unknown'"), 1);
  simulator_.thaw();
  ASSERT_TRUE(reaches(order, "captured"));
  EXPECT_EQ(captures_at_provider(), 1);
  expect_books_agree();
}

TEST_F(PaymentFlowTest, RepeatedAndReorderedMessagesChangeNothing) {
  const OrderId order = new_order();
  const Event first = order_placed(order, "tok_ok");
  const Event twin = order_placed(order, "tok_ok");
  placed({first, twin, first});
  ASSERT_TRUE(reaches(order, "captured"));
  const Event cancelling = cancel_requested(order);
  run(replica_.events.cancel_requested(soon(), {cancelling, cancelling}));
  placed({twin, first});
  ASSERT_TRUE(reaches(order, "refunded"));
  run(replica_.events.cancel_requested(soon(), {cancelling}));
  EXPECT_EQ(captures_at_provider(), 1);
  EXPECT_EQ(count("refunds"), 1);
  expect_books_agree();
}

TEST_F(PaymentFlowTest, WhatCannotBeReadIsRefusedAndTheRestIsDone) {
  const OrderId order = new_order();
  Event broken = order_placed(order, "tok_ok");
  broken.data = R"({"order_id":"ord_1"})";
  Event later = order_placed(order, "tok_ok");
  later.version = 2;
  const auto verdicts =
      run(replica_.events.placed(soon(), {broken, later, order_placed(order, "tok_ok")}));
  using Kind = messaging::Verdict::Kind;
  EXPECT_EQ(verdicts.at(0).kind, Kind::refuse);
  EXPECT_EQ(verdicts.at(1).reason, "unknown version 2");
  EXPECT_EQ(verdicts.at(2).kind, Kind::done);
  EXPECT_TRUE(reaches(order, "captured"));
}

TEST_F(PaymentFlowTest, TwoReplicasChargeEachOrderOnce) {
  Replica second{loops_, dsn_, simulator_.address(), telemetry_};
  run(sleep_for(100ms));
  std::vector<OrderId> orders;
  for (int i = 0; i < 50; ++i) {
    orders.push_back(new_order());
    const Event event = order_placed(orders.back(), "tok_error_then_ok");
    run(replica_.events.placed(soon(), {event}));
    run(second.events.placed(soon(), {event}));
    run(if_available(second.charges.sweep(soon())));
  }
  for (const OrderId& order : orders) ASSERT_TRUE(reaches(order, "captured"));
  EXPECT_EQ(captures_at_provider(), 50);
  EXPECT_EQ(count("outbox WHERE type = 'payment.captured'"), 50);
  expect_books_agree();
  run(second.charges.stop(2s));
}

Task<> ask_for_refund(PgPaymentStore& store, PaymentId payment, int& accepted, int& open) {
  RefundRequest request{.id = {crypto::new_uuid()},
                        .payment = payment,
                        .amount = Money{100, currencies::eur},
                        .reason = "broken",
                        .requested_by = "usr",
                        .traceparent = ""};
  RequestKey key{
      .origin = crypto::new_uuid(), .caller = "usr", .fingerprint = std::string(64, 'a')};
  Answer answer{.status = 202, .headers = "", .body = "{}"};
  Context context;
  context = context.within(10s);
  const auto outcome = co_await store.request_refund(std::move(context), std::move(request),
                                                     std::move(key), std::move(answer));
  if (outcome) ++accepted;
  --open;
}

Task<> race_refunds(Loops& loops, PgPaymentStore& store, PaymentId payment, int& accepted) {
  int open = 20;
  for (int i = 0; i < 20; ++i) {
    spawn(loops.at(0), "race", ask_for_refund(store, payment, accepted, open));
  }
  while (open > 0) co_await sleep_for(5ms);
}

TEST_F(PaymentFlowTest, TwentyParallelRefundsNeverExceedTheCapture) {
  const OrderId order = new_order();
  placed({order_placed(order, "tok_ok", 1'050)});
  ASSERT_TRUE(reaches(order, "captured"));
  const PaymentId payment = run(replica_.store.payment_of_order(soon(), order))->id;
  int accepted = 0;
  run(race_refunds(loops_, replica_.store, payment, accepted));
  EXPECT_EQ(accepted, 10);
  EXPECT_EQ(sql("SELECT refund_pending_minor FROM payments"), "1000");
  while (count("refunds WHERE status = 'succeeded'") < 10) {
    run(if_available(replica_.refunds.sweep(soon())));
    run(sleep_for(20ms));
  }
  EXPECT_EQ(cash(), 50);
  expect_books_agree();
}

TEST_F(PaymentFlowTest, TheLedgerRefusesWhatDoesNotSumToZero) {
  const std::string half =
      "INSERT INTO ledger_entries (transaction_id, line, account, amount_minor, currency, kind) "
      "VALUES (gen_random_uuid(), 1, 'provider_cash', 5, 'EUR', 'capture')";
  EXPECT_THROW(sql(half), std::runtime_error);
  EXPECT_EQ(count("ledger_entries"), 0);
}

TEST_F(PaymentFlowTest, TheLedgerRefusesTwoCurrenciesThatOnlyTogetherSumToZero) {
  const std::string mixed =
      "INSERT INTO ledger_entries (transaction_id, line, account, amount_minor, currency, kind) "
      "VALUES ('00000000-0000-7000-8000-000000000001', 1, 'provider_cash', 5, 'EUR', 'capture'), "
      "('00000000-0000-7000-8000-000000000001', 2, 'captured_payments', -5, 'USD', 'capture')";
  EXPECT_THROW(sql(mixed), std::runtime_error);
}

TEST_F(PaymentFlowTest, TheLedgerIsAppendOnlyForEverybody) {
  const OrderId order = new_order();
  placed({order_placed(order, "tok_ok")});
  ASSERT_TRUE(reaches(order, "captured"));
  EXPECT_THROW(sql("UPDATE ledger_entries SET amount_minor = amount_minor * 2"),
               std::runtime_error);
  EXPECT_THROW(sql("DELETE FROM ledger_entries"), std::runtime_error);
  EXPECT_THROW(sql("TRUNCATE ledger_entries"), std::runtime_error);
  EXPECT_THROW(sql("DELETE FROM ledger_accounts"), std::runtime_error);
  EXPECT_EQ(cash(), 1'299);
}

TEST_F(PaymentFlowTest, ReconcileFindsACaptureThatNobodyOrderedAndRepairsIt) {
  const OrderId order = new_order();
  placed({order_placed(order, "tok_ok")});
  ASSERT_TRUE(reaches(order, "captured"));
  Charge planted{.attempt = {crypto::new_uuid()},
                 .payment = {crypto::new_uuid()},
                 .order = new_order(),
                 .customer = {},
                 .amount = Money{777, currencies::eur},
                 .token = "tok_ok",
                 .traceparent = ""};
  run(replica_.provider.charge(soon(), planted));

  const auto found = reconcile();
  ASSERT_EQ(found.differences.size(), 1U);
  EXPECT_EQ(found.differences[0].kind, Difference::Kind::not_in_ledger);
  EXPECT_EQ(found.differences[0].transaction, planted.attempt.uuid);

  EXPECT_EQ(reconcile(true).repaired, 1U);
  expect_books_agree();
  EXPECT_EQ(cash(), 1'299);
  EXPECT_EQ(reconcile(true).repaired, 0U);
}

TEST_F(PaymentFlowTest, ReconcileFindsABookingThatTheProviderDoesNotKnow) {
  sql("INSERT INTO ledger_entries (transaction_id, line, account, amount_minor, currency, kind) "
      "VALUES ('00000000-0000-7000-8000-000000000001', 1, 'provider_cash', 5, 'EUR', 'capture'), "
      "('00000000-0000-7000-8000-000000000001', 2, 'captured_payments', -5, 'EUR', 'capture'); "
      "SELECT 1");
  const auto report = reconcile(true);
  ASSERT_EQ(report.differences.size(), 1U);
  EXPECT_EQ(report.differences[0].kind, Difference::Kind::not_in_statement);
  EXPECT_EQ(report.repaired, 0U);
}

TEST_F(PaymentFlowTest, ACaptureThatIsOnItsWayIsNoDifference) {
  const OrderId order = new_order();
  placed({order_placed(order, "tok_timeout_after_capture")});
  run(sleep_for(150ms));
  const auto report = reconcile();
  EXPECT_EQ(report.in_flight, 1U);
  EXPECT_TRUE(report.differences.empty());
  ASSERT_TRUE(reaches(order, "captured"));
}

}  // namespace
}  // namespace stoa::payment
