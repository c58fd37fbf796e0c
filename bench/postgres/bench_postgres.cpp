// What a statement costs: 32 callers on one loop, each with one thing at a time.
// bench/postgres/measure starts the server.
#include <chrono>
#include <functional>
#include <print>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>

#include "servicekit/async/loops.hpp"
#include "servicekit/postgres/database.hpp"
#include "servicekit/runtime/config.hpp"
#include "servicekit/telemetry/process_metrics.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::postgres {
namespace {

constexpr int callers = 32;
constexpr int rows = 10'000;
constexpr int reads_each = 2'000;
constexpr int writes_each = 250;

Query read_one(std::int64_t id) {
  return {.name = "bench.read",
          .read_only = true,
          .sql = "SELECT id, name, price FROM things WHERE id = $1",
          .params = {id}};
}

Query insert_head(std::string id) {
  return {.name = "bench.head",
          .read_only = false,
          .sql = "INSERT INTO heads (id, total) VALUES ($1, 100)",
          .params = {std::move(id)}};
}

Query insert_lines(std::string id) {
  return {.name = "bench.lines",
          .read_only = false,
          .sql = "INSERT INTO lines (head, sku) SELECT $1, sku FROM unnest($2::text[]) AS sku",
          .params = {std::move(id), array(std::vector<std::string>{"a", "b"})}};
}

Query insert_event(std::string id) {
  return {.name = "bench.event",
          .read_only = false,
          .sql = "INSERT INTO events (data) VALUES (jsonb_build_object('id', $1::text))",
          .params = {std::move(id)}};
}

Task<> read(Database* database, int caller) {
  for (int i = 0; i < reads_each; ++i) {
    const auto found = co_await database->run({}, read_one((caller * reads_each + i) % rows));
  }
}

std::string id_of(std::string_view kind, int caller, int i) {
  return std::format("{}-{}-{}", kind, caller, i);
}

Task<> write_in_one_round_trip(Database* database, int caller) {
  for (int i = 0; i < writes_each; ++i) {
    const auto id = id_of("all", caller, i);
    std::vector<Query> queries{insert_head(id), insert_lines(id), insert_event(id)};
    const auto done = co_await database->run_all({}, std::move(queries));
  }
}

Task<> write_interactively(Database* database, int caller) {
  for (int i = 0; i < writes_each; ++i) {
    const auto id = id_of("step", caller, i);
    auto transaction = co_await database->begin({});
    co_await transaction.run(insert_head(id));
    co_await transaction.run(insert_lines(id));
    co_await transaction.run(insert_event(id));
    co_await transaction.commit();
  }
}

Task<> prepare(Database* database) {
  const auto ddl = [&](std::string_view sql) {
    return Query{.name = "bench.ddl", .read_only = false, .sql = sql, .params = {}};
  };
  std::vector<Query> tables{
      ddl("CREATE TABLE things (id bigint PRIMARY KEY, name text, price bigint)"),
      ddl("CREATE TABLE heads (id text PRIMARY KEY, total bigint)"),
      ddl("CREATE TABLE lines (head text, sku text)"),
      ddl("CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, data jsonb)")};
  for (Query& table : tables) co_await database->run({}, std::move(table));
  co_await database->run({}, {.name = "bench.fill",
                              .read_only = false,
                              .sql = "INSERT INTO things SELECT i, 'thing ' || i, i"
                                     " FROM generate_series(0, $1::int - 1) AS i",
                              .params = {std::int64_t{rows}}});
}

void measure(Loops& loops, std::string_view what, int count,
             const std::function<Task<>(int)>& caller) {
  const auto started = std::chrono::steady_clock::now();
  const double cpu = telemetry::cpu_seconds();
  int left = count > 1 ? callers : 1;
  loops.at(0).restart();
  for (int i = 0, all = left; i < all; ++i) {
    boost::asio::co_spawn(loops.at(0), caller(i), [&](const std::exception_ptr& failure) {
      if (failure) std::rethrow_exception(failure);
      if (--left == 0) loops.stop();
    });
  }
  loops.run();
  if (count == 1) return;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  const double done = static_cast<double>(callers) * count;
  std::println("{}: {:.0f}/s, {:.1f} us CPU of this process", what, done / took.count(),
               (telemetry::cpu_seconds() - cpu) / done * 1e6);
}

int run() {
  runtime::Environment environment;
  Loops loops{1};
  telemetry::Telemetry telemetry{{.service = "bench-postgres"}};
  Database database{
      loops,
      {.dsn = environment.dsn("STOA_DATABASE"), .application_name = "bench", .waiting_max = 1'024},
      telemetry};
  database.start();
  measure(loops, "", 1, [&](int) { return prepare(&database); });
  measure(loops, "read by key", reads_each, [&](int i) { return read(&database, i); });
  measure(loops, "head, lines and event in one round trip", writes_each,
          [&](int i) { return write_in_one_round_trip(&database, i); });
  measure(loops, "the same as an interactive transaction", writes_each,
          [&](int i) { return write_interactively(&database, i); });
  return 0;
}

}  // namespace
}  // namespace stoa::postgres

int main() { return stoa::postgres::run(); }
