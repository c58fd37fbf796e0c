#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <gtest/gtest.h>

#include "servicekit/crypto/crypto.hpp"
#include "servicekit/postgres/database.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/private_postgres.hpp"
#include "servicekit/testing/run.hpp"

#include "services/product-service/adapters/http_catalogue.hpp"
#include "services/product-service/adapters/http_stock.hpp"
#include "services/product-service/adapters/pg_catalogue_store.hpp"
#include "services/product-service/adapters/pg_import_store.hpp"
#include "services/product-service/adapters/pg_stock_store.hpp"

namespace stoa::product {

std::span<const postgres::Migration> migrations();

inline const Currency euro = *Currency::parse("EUR");
inline const Currency dollar = *Currency::parse("USD");

inline Instant moment(int minute) { return Instant{std::chrono::minutes{29'900'000 + minute}}; }

template <class Id>
Id new_id() {
  return Id{crypto::new_uuid()};
}

/// A product with one variant for each stock, at 10.00 EUR, 11.00 EUR, …
inline NewProduct new_product(std::string name, std::vector<std::int64_t> stocks) {
  NewProduct product;
  product.id = new_id<ProductId>();
  product.name = std::move(name);
  product.now = moment(0);
  std::int64_t price = 1'000;
  for (const std::int64_t stock : stocks) {
    NewVariant variant;
    variant.id = new_id<VariantId>();
    variant.sku = "SKU-" + variant.id.uuid.str();
    if (stocks.size() > 1) variant.options = {{"Size", std::to_string(product.variants.size())}};
    variant.prices = {Money{price, euro}};
    variant.stock = stock;
    price += 100;
    product.variants.push_back(std::move(variant));
  }
  return product;
}

/// A database of this service's own for each test, on the server that the binary shares.
class StoreTest : public testing::Test {
 protected:
  StoreTest() { database_.start(); }

  template <class T>
  T run(Task<T> task) {
    return testing_support::run_on(loops_, std::move(task));
  }

  std::string sql(const std::string& statements) {
    return testing_support::PrivatePostgres::sql(dsn_, statements);
  }

  /// Stores it as POST /products does. Its handle is made distinct.
  Product store(NewProduct wanted) {
    if (!wanted.handle) wanted.handle = "p-" + wanted.id.uuid.str();
    auto product = make_product(wanted);
    EXPECT_TRUE(product) << "the test's product is wrong";
    InsertProduct command{.product = *product, .actor = "test", .event_id = crypto::new_uuid()};
    for (const NewVariant& variant : wanted.variants) command.stock.push_back(variant.stock);
    const auto inserted = run(catalogue_.insert({}, std::move(command)));
    EXPECT_TRUE(inserted && *inserted == Inserted::stored);
    return std::move(*product);
  }

  ReserveStock wanted(std::vector<WantedLine> lines, UserId buyer = new_id<UserId>()) {
    return {.id = new_id<ReservationId>(),
            .origin = crypto::new_uuid(),
            .buyer = buyer,
            .currency = euro,
            .lines = std::move(lines)};
  }

  /// Runs all of them at once on one loop; their results in order.
  template <class T>
  std::vector<std::optional<T>> together(std::vector<Task<T>> tasks) {
    std::vector<std::optional<T>> results(tasks.size());
    std::size_t left = tasks.size();
    loops_.at(0).restart();
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      auto outcome = std::make_shared<std::optional<T>>();
      boost::asio::co_spawn(loops_.at(0), testing_support::keep(std::move(tasks[i]), outcome),
                            [&, i, outcome](const std::exception_ptr& failure) {
                              if (failure) {
                                ADD_FAILURE() << what(failure);
                              } else {
                                results[i] = std::move(*outcome);
                              }
                              if (--left == 0) loops_.stop();
                            });
    }
    loops_.run();
    return results;
  }

  static std::string what(const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      return error.what();
    }
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

  std::int64_t on_hand(VariantId id) { return run(stock_.level({}, id))->on_hand; }
  std::int64_t reserved(VariantId id) { return run(stock_.level({}, id))->reserved; }

  Secret<> dsn_ = testing_support::PrivatePostgres::shared().database(migrations());
  telemetry::Telemetry telemetry_{{.service = "product-service", .log_level = "error"}};
  Loops loops_{1};
  postgres::Database database_{
      loops_, {.dsn = dsn_, .application_name = "test", .pipelines = 8}, telemetry_};
  PgCatalogueStore catalogue_{database_};
  PgStockStore stock_{
      database_,
      {.deadline = std::chrono::seconds{900}, .ask_again = std::chrono::seconds{10}},
      crypto::new_uuid};
  PgImportStore imports_{database_};
};

}  // namespace stoa::product
