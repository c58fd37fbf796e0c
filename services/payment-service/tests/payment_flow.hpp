#pragma once

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
#include "tools/payment-simulator/tests/simulator_process.hpp"

// The whole way of the money: the consumer's handlers, the workers, the real provider simulator and
// the real database. What a broker adds (redelivery, reordering) is played by calling the handlers.
namespace stoa::payment {

inline constexpr std::chrono::milliseconds patience = std::chrono::seconds{20};
inline constexpr double impatient = 0.2;  // of every pause

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

inline messaging::Event event(std::string type, const OrderId& order, std::string data) {
  return {.id = crypto::new_uuid(),
          .source = "order-service",
          .type = std::move(type),
          .version = 1,
          .subject = order.str(),
          .data = std::move(data)};
}

inline messaging::Event order_placed(const OrderId& order, const std::string& token,
                                     std::int64_t minor = 1'299) {
  return event("order.placed", order,
               json::write(PlacedJson{.order_id = order.str(),
                                      .customer_id = UserId{crypto::new_uuid()}.str(),
                                      .amount = {.amount = minor, .currency = "EUR"},
                                      .payment_method = {.token = token}}));
}

inline messaging::Event cancel_requested(const OrderId& order) {
  return event("order.cancel_requested", order,
               json::write(CancelJson{.order_id = order.str(),
                                      .customer_id = UserId{crypto::new_uuid()}.str(),
                                      .reason = "customer"}));
}

inline OrderId new_order() { return {crypto::new_uuid()}; }

/// One replica of the service's workers on the test's loop.
struct Replica {
  Replica(Loops& loops, const Secret<>& dsn, const std::string& provider_address,
          telemetry::Telemetry& telemetry)
      : database{loops, {.dsn = dsn, .application_name = "test"}, telemetry},
        client{loops,
               {.name = "payment-provider",
                .addresses = {provider_address},
                .connect_timeout = std::chrono::milliseconds{200},
                .timeout = std::chrono::milliseconds{300},
                .breaker_open_for = std::chrono::milliseconds{100}},
               telemetry},
        provider{client, Secret<>{std::string{simulator::SimulatorProcess::key}}, telemetry},
        store{database, telemetry, [] {}},
        refunds{loops,
                store,
                provider,
                [] { return impatient; },
                {.lease = std::chrono::seconds{1}, .call_timeout = std::chrono::milliseconds{300}}},
        charges{loops,
                store,
                provider,
                [] { return impatient; },
                [this] { refunds.wake(); },
                {.lease = std::chrono::seconds{1}, .call_timeout = std::chrono::milliseconds{300}}},
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
    return context.within(std::chrono::seconds{5});
  }

  void placed(std::vector<messaging::Event> events) {
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

  std::string sql(const std::string& statements) {
    return testing_support::PrivatePostgres::sql(dsn_, statements);
  }
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
      co_await sleep_for(std::chrono::milliseconds{20});
    }
    co_return false;
  }

  simulator::SimulatorProcess simulator_;
  Secret<> dsn_ = testing_support::PrivatePostgres::shared().database(migrations());
  telemetry::Telemetry telemetry_{{.service = "payment-service", .log_level = "off"}};
  Loops loops_{1};
  Replica replica_{loops_, dsn_, simulator_.address(), telemetry_};
  PgCashBook book_{replica_.database};
  Reconciliation reconciliation_{replica_.provider, book_, [](std::string_view text) {
                                   return crypto::name_based_uuid({"provider-key", text});
                                 }};
};

}  // namespace stoa::payment
