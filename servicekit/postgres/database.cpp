#include "servicekit/postgres/database.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include <boost/asio/post.hpp>

#include "servicekit/core/require.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/postgres/detail/loop_pool.hpp"

namespace stoa::postgres {
namespace detail {

// What a transaction holds. Given back when it is destroyed, on every path.
struct Lease {
  std::weak_ptr<LoopPool> pool;
  std::shared_ptr<Connection> connection;
  Context context;
  Clock::time_point deadline;
  bool begun = false;
  bool finished = false;

  ~Lease();
};

}  // namespace detail

namespace {

using detail::Clock;
using detail::LoopPool;
using detail::Unit;
using detail::UnitPtr;

constexpr int repeats_max = 10;
constexpr std::chrono::milliseconds repeat_after_max{20};
constexpr std::chrono::milliseconds rollback_timeout{1'000};

constexpr Query begin_query{
    .name = "postgres.begin", .read_only = false, .sql = "BEGIN", .params = {}};
constexpr Query commit_query{
    .name = "postgres.commit", .read_only = false, .sql = "COMMIT", .params = {}};
constexpr Query rollback_query{
    .name = "postgres.rollback", .read_only = false, .sql = "ROLLBACK", .params = {}};

// A parameter travels as a C string: what follows a NUL would be lost silently.
void refuse_nul(const Query& query) {
  for (const Param& value : query.params) {
    const auto* text = std::get_if<std::string>(&value);
    if (text != nullptr && text->contains('\0')) {
      throw SqlError{"22021", "text cannot hold a NUL"};
    }
  }
}

std::chrono::milliseconds repeat_after() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::chrono::milliseconds{
      std::uniform_int_distribution<std::int64_t>{1, repeat_after_max.count()}(random)};
}

// One caller's place among those that wait or are in flight.
class Admission {
 public:
  explicit Admission(std::shared_ptr<LoopPool> pool) : pool_{std::move(pool)} { pool_->admit(); }
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;
  ~Admission() { pool_->leave(); }

 private:
  std::shared_ptr<LoopPool> pool_;
};

std::optional<telemetry::Span> span_of(LoopPool& pool, const Context& context,
                                       std::string_view name) {
  std::optional<telemetry::Span> span;
  if (context.trace.sampled) {
    span.emplace(pool.telemetry().span(context.trace, name, telemetry::SpanKind::client));
  }
  return span;
}

// Waits for `unit` and accounts for it.
Task<> settle(std::shared_ptr<LoopPool> pool, Context context, UnitPtr unit) {
  const auto started = Clock::now();
  auto span = span_of(*pool, context, unit->queries.back().name);
  co_await detail::wait_for(unit);
  pool->duration_of(unit->queries.back()).observe(Clock::now() - started);
  if (!unit->failure) co_return;
  if (unit->failure->unavailable && unit->failure->sqlstate.empty())
    pool->metrics().unavailable.add();
  if (span) span->fail(unit->failure->message);
}

}  // namespace

namespace detail {

Lease::~Lease() {
  if (connection == nullptr) return;
  const auto owner = pool.lock();
  if (owner == nullptr) {
    connection->close(lost("the process stops"));
    return;
  }
  if (finished || !begun || !connection->ready()) {
    owner->give_back(std::move(connection));
    return;
  }

  // Nobody waits for it: the connection goes back to the pool when the server has answered, and is
  // closed when it does not answer in time.
  auto unit = std::make_shared<Unit>(
      Unit{.queries = {rollback_query}, .deadline = Clock::now() + rollback_timeout});
  unit->in_transaction = true;
  unit->on_done = [pool = pool, connection = connection, unit = unit.get()] {
    if (unit->failure) connection->close(*unit->failure);
    if (const auto alive = pool.lock()) alive->give_back(connection);
  };
  owner->submit_on(connection, std::move(unit));
}

}  // namespace detail

struct Database::Impl {
  Impl(Loops& loops_, DatabaseConfig config_, telemetry::Telemetry& telemetry)
      : loops{loops_}, config{std::move(config_)}, connector{config} {
    for (std::size_t i = 0; i < loops.count(); ++i) {
      pools.push_back(std::make_shared<LoopPool>(loops.at(i), config, connector, telemetry));
    }
  }

  std::shared_ptr<LoopPool> local() const { return pools[Loops::current()]; }

  Clock::time_point deadline_of(const Context& context) const {
    return std::min(context.deadline, Clock::now() + config.statement_timeout);
  }

  enum class Way : std::uint8_t { alone, shares_sync, grouped };
  Task<std::vector<Rows>> execute(Context context, std::vector<Query> queries, Way way) const;
  Task<Rows> execute_one(Context context, Query query, Way way) const;

  Loops& loops;
  DatabaseConfig config;
  detail::Connector connector;
  std::vector<std::shared_ptr<LoopPool>> pools;
};

Task<std::vector<Rows>> Database::Impl::execute(Context context, std::vector<Query> queries,
                                                Way way) const {
  for (const Query& query : queries) refuse_nul(query);
  if (context.expired()) throw Unavailable{"PostgreSQL: the deadline passed"};
  const auto pool = local();
  const auto deadline = deadline_of(context);

  for (int attempt = 0;; ++attempt) {
    auto unit = std::make_shared<Unit>();
    unit->queries = std::move(queries);
    unit->deadline = deadline;
    unit->shares_sync = way == Way::shares_sync;
    {
      const Admission admission{pool};
      way == Way::grouped ? pool->submit_grouped(unit) : pool->submit(unit);
      co_await settle(pool, context, unit);
    }
    if (!unit->failure) co_return std::move(unit->results);
    // The server undid all of it, so a repeat cannot do it twice.
    if (!detail::asks_for_repeat(*unit->failure) || attempt == repeats_max ||
        Clock::now() + repeat_after_max >= deadline) {
      detail::raise(*unit->failure);
    }
    queries = std::move(unit->queries);
    pool->metrics().repeats.add();
    co_await sleep_for(repeat_after());
  }
}

Task<Rows> Database::Impl::execute_one(Context context, Query query, Way way) const {
  std::vector<Query> queries;
  queries.push_back(std::move(query));
  auto results = co_await execute(std::move(context), std::move(queries), way);
  co_return std::move(results.front());
}

Database::Database(Loops& loops, DatabaseConfig config, telemetry::Telemetry& telemetry)
    : impl_{std::make_unique<Impl>(loops, std::move(config), telemetry)} {}

Database::~Database() {
  for (const auto& pool : impl_->pools) pool->close();
}

void Database::start() {
  for (std::size_t i = 0; i < impl_->pools.size(); ++i) {
    boost::asio::post(impl_->loops.at(i), [weak = std::weak_ptr{impl_->pools[i]}] {
      if (const auto pool = weak.lock()) pool->start();
    });
  }
}

Task<Rows> Database::run(Context context, Query query) {
  const auto way = query.read_only ? Impl::Way::shares_sync : Impl::Way::alone;
  return impl_->execute_one(std::move(context), std::move(query), way);
}

Task<Rows> Database::run_grouped(Context context, Query query) {
  return impl_->execute_one(std::move(context), std::move(query), Impl::Way::grouped);
}

Task<std::vector<Rows>> Database::run_all(Context context, std::vector<Query> queries) {
  if (queries.empty()) co_return std::vector<Rows>{};
  auto results = co_await impl_->execute(std::move(context), std::move(queries), Impl::Way::alone);
  co_return results;
}

Task<Transaction> Database::begin(Context context) {
  if (context.expired()) throw Unavailable{"PostgreSQL: the deadline passed"};
  const auto pool = impl_->local();
  auto lease = std::make_unique<detail::Lease>();
  lease->pool = pool;
  lease->context = context;
  lease->deadline = impl_->deadline_of(context);
  const Admission admission{pool};
  const auto waiter = pool->lease(lease->deadline);
  co_await detail::wait_for(waiter->signal);
  if (waiter->signal->failure) detail::raise(*waiter->signal->failure);
  lease->connection = std::move(waiter->connection);
  co_return Transaction{std::move(lease)};
}

Transaction::Transaction(std::unique_ptr<detail::Lease> lease) : lease_{std::move(lease)} {}
Transaction::Transaction(Transaction&& other) noexcept = default;
Transaction& Transaction::operator=(Transaction&& other) noexcept = default;
Transaction::~Transaction() = default;

Task<Rows> Transaction::run(Query query) {
  refuse_nul(query);
  require(lease_ != nullptr && !lease_->finished, "a transaction is used before its end only");
  const auto pool = lease_->pool.lock();
  if (pool == nullptr) throw Unavailable{"PostgreSQL: the process stops"};

  auto unit = std::make_shared<Unit>();
  unit->deadline = lease_->deadline;
  unit->in_transaction = true;
  // BEGIN costs no round trip of its own.
  if (!std::exchange(lease_->begun, true)) unit->queries.push_back(begin_query);
  unit->queries.push_back(std::move(query));
  pool->submit_on(lease_->connection, unit);
  co_await settle(pool, lease_->context, unit);
  if (unit->failure) detail::raise(*unit->failure);
  co_return std::move(unit->results.back());
}

Task<> Transaction::commit() {
  require(lease_ != nullptr && !lease_->finished, "a transaction is committed once");
  if (!lease_->begun) {
    lease_->finished = true;
    co_return;
  }
  const auto pool = lease_->pool.lock();
  if (pool == nullptr) throw Unavailable{"PostgreSQL: the process stops"};
  auto unit = std::make_shared<Unit>();
  unit->queries.push_back(commit_query);
  unit->deadline = lease_->deadline;
  unit->in_transaction = true;
  unit->command_tag = "COMMIT";
  pool->submit_on(lease_->connection, unit);
  co_await settle(pool, lease_->context, unit);
  if (unit->failure) detail::raise(*unit->failure);
  lease_->finished = true;
}

}  // namespace stoa::postgres
