#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>

#include "services/product-service/adapters/http_stock.hpp"
#include "services/product-service/tests/worlds.hpp"

namespace stoa::product {

/// A database of this service's own for each test, on the server that the binary shares.
class StoreTest : public WorldTest {
 protected:
  StoreTest() : WorldTest{Kind::postgres} {}

  PgWorld& postgres() { return static_cast<PgWorld&>(*world_); }
  std::string sql(const std::string& statements) { return postgres().sql(statements); }
  std::string broken_stock() { return postgres().broken_stock(); }

  /// Runs all of them at once on one loop; their results in order.
  template <class T>
  std::vector<std::optional<T>> together(std::vector<Task<T>> tasks) {
    Loops& loops = world_->loops();
    std::vector<std::optional<T>> results(tasks.size());
    std::size_t left = tasks.size();
    loops.at(0).restart();
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      auto outcome = std::make_shared<std::optional<T>>();
      boost::asio::co_spawn(loops.at(0), testing_support::keep(std::move(tasks[i]), outcome),
                            [&, i, outcome](const std::exception_ptr& failure) {
                              if (failure) {
                                ADD_FAILURE() << what(failure);
                              } else {
                                results[i] = std::move(*outcome);
                              }
                              if (--left == 0) loops.stop();
                            });
    }
    loops.run();
    return results;
  }

  static std::string what(const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      return error.what();
    }
  }

  PgStockStore& stock_ = postgres().stock();
};

}  // namespace stoa::product
