#pragma once

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

inline constexpr Money price{1'299, currencies::eur};
inline constexpr std::chrono::milliseconds lease = std::chrono::seconds{10};

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
  void pass_time() override { store_.now += std::chrono::hours{1}; }
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
  std::string sql(const std::string& statements) {
    return testing_support::PrivatePostgres::sql(dsn_, statements);
  }

 private:
  Secret<> dsn_ = testing_support::PrivatePostgres::shared().database(migrations());
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
    return context.within(std::chrono::seconds{5});
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
    results.push_back({.charge = charge_of(order),
                       .outcome = std::move(outcome),
                       .retry_in = std::chrono::hours{1}});
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

/// The two stores of every suite.
inline auto both_stores() {
  return testing::Values(Maker{"Fake", [] { return std::make_unique<FakeWorld>(); }},
                         Maker{"Postgres", [] { return std::make_unique<PgWorld>(); }});
}

}  // namespace stoa::payment
