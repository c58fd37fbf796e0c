#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <gtest/gtest.h>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/postgres/database.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/private_postgres.hpp"
#include "servicekit/testing/run.hpp"

namespace stoa::postgres {

using testing_support::PrivatePostgres;
using testing_support::run_on;
using namespace std::chrono_literals;

inline Query read(std::string_view sql, std::vector<Param> params = {}) {
  return {.name = "test.read", .read_only = true, .sql = sql, .params = std::move(params)};
}
inline Query write(std::string_view sql, std::vector<Param> params = {}) {
  return {.name = "test.write", .read_only = false, .sql = sql, .params = std::move(params)};
}

/// What a caller sees: the first column of the first row, "" without one, "unavailable", or the
/// SQLSTATE.
inline Task<std::string> outcome(Task<Rows> task) {
  try {
    const Rows rows = co_await std::move(task);
    co_return rows.empty() ? std::string{} : std::string{rows.front().text(0)};
  } catch (const Unavailable&) {
    co_return "unavailable";
  } catch (const SqlError& error) {
    co_return error.sqlstate();
  }
}

class DatabaseTest : public testing::Test {
 protected:
  /// Every test starts on a running server with an empty database.
  DatabaseTest() : server_{PrivatePostgres::shared()}, dsn_{server_.database()} {}

  void open(DatabaseConfig config = {}, std::size_t loop_count = 1) {
    database_.reset();
    loops_ = std::make_unique<Loops>(loop_count);
    config.dsn = dsn_;
    config.application_name = "postgres_test";
    database_ = std::make_unique<Database>(*loops_, std::move(config), telemetry_);
    database_->start();
  }

  std::string sql(const std::string& statements) { return PrivatePostgres::sql(dsn_, statements); }

  std::string ask(Query query, Context context = {}) {
    return run_on(*loops_, outcome(database_->run(std::move(context), std::move(query))));
  }

  /// Runs all of them at once on loop 0.
  std::vector<std::string> together(std::vector<Task<std::string>> tasks) {
    std::vector<std::string> answers(tasks.size());
    std::size_t left = tasks.size();
    loops_->at(0).restart();
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      boost::asio::co_spawn(loops_->at(0), std::move(tasks[i]),
                            [&, i](const std::exception_ptr& failure, std::string answer) {
                              answers[i] = failure ? "another exception" : std::move(answer);
                              if (--left == 0) loops_->stop();
                            });
    }
    loops_->run();
    return answers;
  }

  /// Asks again until the answer is `wanted`; false after ten seconds.
  bool eventually(const std::function<std::string()>& question, const std::string& wanted) {
    const auto give_up_at = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < give_up_at) {
      if (question() == wanted) return true;
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }

  PrivatePostgres& server_;
  Secret<> dsn_;
  telemetry::Telemetry telemetry_{{.service = "postgres_test"}};
  std::unique_ptr<Loops> loops_;
  std::unique_ptr<Database> database_;
};

}  // namespace stoa::postgres
