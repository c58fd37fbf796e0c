#pragma once

#include <format>
#include <span>
#include <string>
#include <vector>

#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/private_postgres.hpp"

#include "services/order-service/adapters/pg_order_store.hpp"
#include "services/order-service/tests/fakes.hpp"

namespace stoa::order {

std::span<const postgres::Migration> migrations();

/// One suite for the fake and for PostgreSQL: what the use cases are tested with keeps the promises
/// of what they run on.
class Stores {
 public:
  virtual ~Stores() = default;
  virtual OrderStore& store() = 0;
  /// As if so much time had passed for what waits.
  virtual void pass(std::chrono::seconds time) = 0;
  /// Everything in the outbox leaves.
  virtual void publish() = 0;
  virtual std::vector<Told> told() = 0;
  virtual void forget_keys() = 0;  ///< as if 72 hours had passed
};

class FakeStores final : public Stores {
 public:
  OrderStore& store() override { return fake_; }
  void pass(std::chrono::seconds time) override { fake_.clock += time; }
  void publish() override { fake_.publish(); }
  std::vector<Told> told() override { return fake_.told; }
  void forget_keys() override { fake_.keys.clear(); }

 private:
  FakeStore fake_;
};

class PostgresStores final : public Stores {
 public:
  explicit PostgresStores(Loops& loops)
      : dsn_{testing_support::PrivatePostgres::shared().database(migrations())},
        database_{loops, {.dsn = dsn_, .application_name = "order_store_test"}, telemetry_},
        store_{database_, telemetry_, test_patience} {
    database_.start();
    // Keeps what leaves, so that a test sees it after publish().
    sql("CREATE TABLE published (LIKE outbox);"
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN INSERT INTO published SELECT OLD.*; RETURN OLD; END$$;"
        "CREATE TRIGGER keep BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION keep()");
  }

  OrderStore& store() override { return store_; }

  void pass(std::chrono::seconds time) override {
    const auto interval = std::format("interval '{} seconds'", time.count());
    sql("UPDATE orders SET check_at = check_at - " + interval +
        "; UPDATE outbox SET created_at = created_at - " + interval);
  }
  void publish() override { sql("DELETE FROM outbox"); }
  void forget_keys() override { sql("UPDATE idempotency_keys SET expires_at = now()"); }

  std::vector<Told> told() override {
    std::vector<Told> all;
    const std::size_t count = std::stoul(sql(everything_ + "SELECT count(*) FROM everything"));
    for (std::size_t i = 0; i < count; ++i) {
      const auto one = [&](const std::string& column) {
        return sql(
            everything_ +
            std::format("SELECT {} FROM everything ORDER BY seq OFFSET {} LIMIT 1", column, i));
      };
      all.push_back(
          {one("type"), *OrderId::parse(one("subject")), std::stol(one("aggregate_version"))});
    }
    return all;
  }

  std::string sql(const std::string& statements) {
    return testing_support::PrivatePostgres::sql(dsn_, statements);
  }

 private:
  const std::string everything_ =
      "WITH everything AS (SELECT * FROM published UNION ALL SELECT * FROM outbox) ";

  Secret<> dsn_;
  telemetry::Telemetry telemetry_{{.service = "order_store_test", .log_level = "error"}};
  postgres::Database database_;
  PgOrderStore store_;
};

}  // namespace stoa::order
