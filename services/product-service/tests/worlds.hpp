#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/postgres/database.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/private_postgres.hpp"
#include "servicekit/testing/run.hpp"

#include "services/product-service/adapters/pg_catalogue_store.hpp"
#include "services/product-service/adapters/pg_import_store.hpp"
#include "services/product-service/adapters/pg_stock_store.hpp"
#include "services/product-service/tests/fake_import_store.hpp"
#include "services/product-service/tests/fake_shop.hpp"
#include "services/product-service/tests/fake_stock_store.hpp"
#include "services/product-service/tests/samples.hpp"

// One suite over the fakes and over PostgreSQL: what the use cases are tested with is what they run
// on.
namespace stoa::product {

std::span<const postgres::Migration> migrations();

/// The stores of a shop with what a test needs beside them.
class World {
 public:
  virtual ~World() = default;
  virtual Loops& loops() = 0;
  virtual CatalogueStore& catalogue() = 0;
  virtual ImportStore& imports() = 0;
  virtual StockStore& stock() = 0;

  /// Every variant's stock, and whether the journal sums to it.
  virtual std::vector<std::int64_t> on_hand() = 0;
  virtual bool books_agree() = 0;
  /// How many times product.updated was told.
  virtual std::int64_t told() = 0;
  /// How many times stock.low was.
  virtual std::int64_t told_low() = 0;
  virtual std::string state_of(ReservationId id) = 0;
  /// Events of order-service that had their effect.
  virtual std::int64_t events_taken() = 0;
  /// As if so much time had passed for reservations.
  virtual void pass(std::chrono::seconds time) = 0;
  /// As if every worker had been silent for long.
  virtual void end_leases() = 0;
  virtual std::int64_t stored_chunks() = 0;
};

class FakeWorld final : public World {
 public:
  Loops& loops() override { return loops_; }
  CatalogueStore& catalogue() override { return catalogue_; }
  ImportStore& imports() override { return imports_; }
  StockStore& stock() override { return stock_; }

  std::vector<std::int64_t> on_hand() override {
    std::vector<std::int64_t> all;
    for (const auto& [id, level] : shop_.stock) all.push_back(level.on_hand);
    return all;
  }
  bool books_agree() override {
    return std::ranges::all_of(shop_.stock, [&](const auto& entry) {
      const StockLevel& level = entry.second;
      return level.on_hand == shop_.sum_of_journal(entry.first) &&
             level.reserved == stock_.reserved_by_active(entry.first) && level.reserved >= 0 &&
             level.available() >= 0;
    });
  }
  std::int64_t told() override { return std::ssize(shop_.told); }
  std::int64_t told_low() override { return std::ssize(stock_.told_low); }
  std::string state_of(ReservationId id) override {
    return std::string{name(stock_.rows.at(id).state)};
  }
  std::int64_t events_taken() override { return std::ssize(stock_.inbox); }
  void pass(std::chrono::seconds time) override { shop_.clock += time; }
  void end_leases() override { shop_.clock += std::chrono::hours{1}; }
  std::int64_t stored_chunks() override {
    std::int64_t count = 0;
    for (const auto& [id, row] : imports_.rows) count += std::ssize(row.chunks);
    return count;
  }

 private:
  Loops loops_{1};
  FakeShop shop_;
  FakeCatalogueStore catalogue_{shop_};
  FakeImportStore imports_{shop_};
  FakeStockStore stock_{shop_};
};

class PgWorld final : public World {
 public:
  PgWorld() { database_.start(); }

  Loops& loops() override { return loops_; }
  PgCatalogueStore& catalogue() override { return catalogue_; }
  PgImportStore& imports() override { return imports_; }
  PgStockStore& stock() override { return stock_; }
  int woken() const { return woken_; }

  std::vector<std::int64_t> on_hand() override {
    const std::string listed = sql("SELECT string_agg(on_hand::text, ' ') FROM stock");
    std::vector<std::int64_t> all;
    for (std::size_t at = 0; at < listed.size(); at = listed.find(' ', at)) {
      if (listed[at] == ' ') ++at;
      all.push_back(std::stoll(listed.substr(at)));
    }
    return all;
  }
  bool books_agree() override { return broken_stock() == "0"; }
  std::int64_t told() override {
    return std::stoll(sql("SELECT count(*) FROM outbox WHERE type = 'product.updated'"));
  }
  std::int64_t told_low() override {
    return std::stoll(sql("SELECT count(*) FROM outbox WHERE type = 'stock.low'"));
  }
  std::string state_of(ReservationId id) override {
    return sql("SELECT state FROM reservations WHERE id = '" + id.uuid.str() + "'");
  }
  std::int64_t events_taken() override { return std::stoll(sql("SELECT count(*) FROM inbox")); }
  void pass(std::chrono::seconds time) override {
    sql("UPDATE reservations SET check_at = check_at - interval '" + std::to_string(time.count()) +
        " seconds'");
  }
  void end_leases() override {
    sql("UPDATE imports SET lease_until = now() - interval '1 second'");
  }
  std::int64_t stored_chunks() override {
    return std::stoll(sql("SELECT count(*) FROM import_chunks"));
  }

  std::string sql(const std::string& statements) {
    return testing_support::PrivatePostgres::sql(dsn_, statements);
  }

  /// What must hold for stock, always: the number of rows that break it.
  std::string broken_stock() {
    return sql(R"sql(
      SELECT count(*) FROM stock s
      LEFT JOIN (SELECT variant_id, sum(delta) AS total FROM stock_movements GROUP BY 1) m
        USING (variant_id)
      LEFT JOIN (SELECT variant_id, sum(quantity) AS total FROM reservation_lines
                 WHERE state = 'active' GROUP BY 1) r USING (variant_id)
      WHERE s.on_hand <> coalesce(m.total, 0) OR s.reserved <> coalesce(r.total, 0)
         OR s.reserved < 0 OR s.on_hand < s.reserved
    )sql");
  }

 private:
  Secret<> dsn_ = testing_support::PrivatePostgres::shared().database(migrations());
  telemetry::Telemetry telemetry_{{.service = "product-service", .log_level = "error"}};
  Loops loops_{1};
  postgres::Database database_{
      loops_, {.dsn = dsn_, .application_name = "test", .pipelines = 8}, telemetry_};
  int woken_ = 0;
  std::function<void()> wake_relay_ = [this] { ++woken_; };
  PgCatalogueStore catalogue_{database_, wake_relay_};
  PgStockStore stock_{
      database_,
      {.deadline = std::chrono::seconds{900}, .ask_again = std::chrono::seconds{10}},
      crypto::new_uuid,
      wake_relay_};
  PgImportStore imports_{database_, wake_relay_};
};

enum class Kind : std::uint8_t { fake, postgres };

inline std::unique_ptr<World> make_world(Kind kind) {
  if (kind == Kind::fake) return std::make_unique<FakeWorld>();
  return std::make_unique<PgWorld>();
}

inline std::string name(Kind kind) { return kind == Kind::fake ? "Fake" : "Postgres"; }

/// What every suite over both needs.
class WorldTest : public testing::Test {
 protected:
  explicit WorldTest(Kind kind) : world_{make_world(kind)} {}

  template <class T>
  T run(Task<T> task) {
    return testing_support::run_on(world_->loops(), std::move(task));
  }

  /// Stores it as POST /products does. Its handle is made distinct.
  Product store(NewProduct wanted_product) {
    if (!wanted_product.handle) wanted_product.handle = "p-" + wanted_product.id.uuid.str();
    auto product = make_product(wanted_product);
    EXPECT_TRUE(product) << "the test's product is wrong";
    InsertProduct command{.product = *product, .actor = "test", .event_id = crypto::new_uuid()};
    for (const NewVariant& variant : wanted_product.variants) {
      command.stock.push_back(variant.stock);
    }
    const auto inserted = run(world_->catalogue().insert({}, std::move(command)));
    EXPECT_TRUE(inserted && *inserted == Inserted::stored);
    return std::move(*product);
  }

  std::int64_t on_hand(VariantId id) { return run(world_->stock().level({}, id))->on_hand; }
  std::int64_t reserved(VariantId id) { return run(world_->stock().level({}, id))->reserved; }

  Result<Reserved> reserve(ReserveStock command) {
    return run(world_->stock().reserve({}, std::move(command)));
  }

  std::unique_ptr<World> world_;
};

}  // namespace stoa::product
