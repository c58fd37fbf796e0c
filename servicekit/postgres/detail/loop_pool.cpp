#include "servicekit/postgres/detail/loop_pool.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/core/unavailable.hpp"

namespace stoa::postgres::detail {
namespace {

// One timer for all deadlines of a loop: at most this much late, and no timer per statement.
constexpr std::chrono::milliseconds sweep_every{10};
constexpr std::chrono::milliseconds backoff_min{25};
constexpr std::chrono::milliseconds backoff_max{2'000};
constexpr unsigned backoff_doublings_max = 7;
// How long a read's Sync may get before the next read starts one elsewhere.
constexpr std::size_t shared_reads_max = 64;
constexpr std::chrono::seconds spare_idle_for{30};

// Half to all of the delay, so that the processes of a fleet do not come back in step.
std::chrono::milliseconds backoff(unsigned failures) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto whole =
      std::min(backoff_max, backoff_min * (1U << std::min(failures, backoff_doublings_max)));
  return std::chrono::milliseconds{
      std::uniform_int_distribution<std::int64_t>{whole.count() / 2, whole.count()}(random)};
}

}  // namespace

Metrics::Metrics(telemetry::Telemetry& telemetry)
    : connections{telemetry.gauge("stoa_postgres_connections", "Open connections.")},
      transactions{telemetry.gauge("stoa_postgres_transactions",
                                   "Connections leased by interactive transactions.")},
      waiting{telemetry.gauge("stoa_postgres_wanted", "Statements in flight or waiting.")},
      connection_losses{telemetry.counter("stoa_postgres_connection_losses_total",
                                          "Connections that ended other than by our stop.")},
      connect_failures{telemetry.counter("stoa_postgres_connect_failures_total",
                                         "Attempts to connect that failed.")},
      refused{telemetry.counter("stoa_postgres_refused_total",
                                "Statements refused because too many were waiting.")},
      unavailable{telemetry.counter("stoa_postgres_unavailable_total",
                                    "Statements that ended without an answer of the server.")},
      repeats{telemetry.counter("stoa_postgres_repeats_total",
                                "Statements repeated after a deadlock or serialisation failure.")},
      reads_resent{telemetry.counter("stoa_postgres_reads_resent_total",
                                     "Reads sent again because a neighbour failed.")},
      groups{
          telemetry.counter("stoa_postgres_groups_total", "Transactions that strangers shared.")},
      group_members{telemetry.counter("stoa_postgres_group_members_total",
                                      "Statements that shared a transaction of strangers.")} {}

LoopPool::LoopPool(boost::asio::io_context& loop, DatabaseConfig config, Connector& connector,
                   telemetry::Telemetry& telemetry)
    : loop_{loop},
      config_{std::move(config)},
      connector_{connector},
      telemetry_{telemetry},
      metrics_{telemetry},
      slots_(std::max(config_.pipelines, config_.pipelines_max)),
      groups_{std::make_shared<GroupCommit>(
          loop, [this](UnitPtr unit) { submit(std::move(unit)); },
          [this](std::size_t members) {
            metrics_.groups.add();
            metrics_.group_members.add(members);
          })},
      sweep_timer_{loop} {
  require(config_.pipelines > 0, "a database has at least one pipelined connection per loop");
  for (std::size_t i = config_.pipelines; i < slots_.size(); ++i) slots_[i].spare = true;
}

void LoopPool::start() {
  for (Slot& slot : slots_) {
    if (!slot.spare) dial_slot(slot);
  }
}

std::shared_ptr<Connection> LoopPool::dial() {
  auto connection = std::make_shared<Connection>(
      loop_, weak_from_this(), Clock::now() + config_.connect_timeout, first_server_);
  connector_.resolve(loop_, first_server_, [weak = std::weak_ptr{connection}](auto parameters) {
    const auto dialled = weak.lock();
    if (!dialled) return;
    if (parameters) {
      dialled->connect(*parameters);
    } else {
      dialled->close(lost(std::move(parameters.error())));
    }
  });
  arm_sweep();
  return connection;
}

void LoopPool::dial_slot(Slot& slot) { slot.connection = dial(); }

void LoopPool::admit() {
  if (wanted_ >= config_.waiting_max) {
    metrics_.refused.add();
    throw Unavailable{"PostgreSQL: too many statements are waiting"};
  }
  if (down_) raise(*down_);
  ++wanted_;
  metrics_.waiting.add(1);
  arm_sweep();
}

void LoopPool::leave() {
  --wanted_;
  metrics_.waiting.add(-1);
}

// A read keeps away from writes, which wait for the disk, and joins the reads of this turn. A write
// takes the connection with the fewest writes before it; none free: one more is made for the next.
std::shared_ptr<Connection> LoopPool::pick(bool shares_sync) {
  std::shared_ptr<Connection> best;
  const auto better = [&](const Connection& one) {
    if (!best) return true;
    if (one.writes() != best->writes()) return one.writes() < best->writes();
    return one.load() < best->load();
  };
  for (const Slot& slot : slots_) {
    if (!slot.connection || !slot.connection->ready()) continue;
    if (shares_sync && slot.connection->has_open_reads() && slot.connection->writes() == 0 &&
        slot.connection->load() < shared_reads_max) {
      return slot.connection;
    }
    if (better(*slot.connection)) best = slot.connection;
  }
  if (best && !shares_sync && best->writes() > 0) add_spare();
  return best;
}

void LoopPool::add_spare() {
  const auto now = Clock::now();
  for (Slot& slot : slots_) {
    // One at a time: when it is ready, the next write tells whether another is wanted.
    if (slot.connection && !slot.connection->ready()) return;
  }
  for (Slot& slot : slots_) {
    if (slot.spare && !slot.connection && now >= slot.next_attempt) {
      slot.busy_at = now;
      return dial_slot(slot);
    }
  }
}

// It closes a connection of the pool, and is const only to a machine.
// NOLINTNEXTLINE(readability-make-member-function-const)
void LoopPool::retire(Slot& slot, Clock::time_point now) {
  const auto connection = slot.connection;
  if (!slot.spare || !connection || !connection->ready()) return;
  if (connection->load() > 0) {
    slot.busy_at = now;
  } else if (now - slot.busy_at > spare_idle_for) {
    slot.connection.reset();
    metrics_.connections.add(-1);
    connection->close(lost("idle"));
  }
}

void LoopPool::submit(UnitPtr unit) {
  if (const auto connection = pick(unit->shares_sync)) {
    connection->submit(std::move(unit));
  } else if (closed_) {
    unit->finish(lost("the process stops"));
  } else if (down_) {
    unit->finish(*down_);
  } else {
    waiting_.push_back(std::move(unit));
  }
}

void LoopPool::submit_on(const std::shared_ptr<Connection>& connection, UnitPtr unit) {
  arm_sweep();
  if (!connection->ready()) return unit->finish(lost("the connection of the transaction is lost"));
  connection->submit(std::move(unit));
}

std::shared_ptr<LeaseWaiter> LoopPool::lease(Clock::time_point deadline) {
  auto waiter = std::make_shared<LeaseWaiter>(deadline);
  lease_waiters_.push_back(waiter);
  serve_waiters();
  arm_sweep();
  return waiter;
}

void LoopPool::serve_waiters() {
  std::erase_if(lease_waiters_, [](const auto& waiter) { return waiter->signal->done; });
  while (!lease_waiters_.empty() && !idle_.empty()) {
    const auto waiter = std::move(lease_waiters_.front());
    lease_waiters_.pop_front();
    waiter->connection = std::move(idle_.back());
    idle_.pop_back();
    metrics_.transactions.add(1);
    waiter->signal->finish();
  }
  std::size_t coming = static_cast<std::size_t>(
      std::ranges::count_if(leasable_, [](const auto& c) { return !c->ready() && !c->closed(); }));
  while (!closed_ && coming < lease_waiters_.size() &&
         leasable_.size() < config_.transactions_max) {
    leasable_.push_back(dial());
    ++coming;
  }
}

void LoopPool::give_back(std::shared_ptr<Connection> connection) {
  metrics_.transactions.add(-1);
  if (closed_ || !connection->ready()) return;
  idle_.push_back(std::move(connection));
  serve_waiters();
}

telemetry::Histogram& LoopPool::duration_of(const Query& query) {
  const auto found = durations_.find(query.sql.data());
  if (found != durations_.end()) return found->second;
  return durations_
      .emplace(query.sql.data(), telemetry_.histogram("stoa_postgres_statement_seconds",
                                                      "From the call to the answer, by statement.",
                                                      {{"query", std::string{query.name}}}))
      .first->second;
}

void LoopPool::on_ready(std::shared_ptr<Connection> connection) {
  metrics_.connections.add(1);
  const auto slot = std::ranges::find(slots_, connection, &Slot::connection);
  if (slot == slots_.end()) {
    idle_.push_back(std::move(connection));
    return serve_waiters();
  }
  slot->failures = 0;
  down_.reset();
  for (const UnitPtr& unit : std::exchange(waiting_, {})) {
    if (!unit->done) submit(unit);
  }
}

void LoopPool::on_closed(std::shared_ptr<Connection> connection, Failure why,
                         std::vector<UnitPtr> survivors) {
  // Once for all that were on their way to it.
  if (!connection->was_ready() && connection->first_server() == first_server_) ++first_server_;
  const auto slot = std::ranges::find(slots_, connection, &Slot::connection);
  if (slot != slots_.end()) return slot_closed(*slot, why, std::move(survivors));
  for (const UnitPtr& unit : survivors) unit->finish(why);
  // Neither: a spare one that was retired.
  if (std::ranges::contains(leasable_, connection)) lease_closed(connection, why);
}

bool LoopPool::any_slot_hopeful() const {
  return std::ranges::any_of(slots_, [](const Slot& slot) {
    return (slot.connection && slot.connection->ready()) || (!slot.spare && slot.failures == 0);
  });
}

void LoopPool::slot_closed(Slot& slot, const Failure& why, std::vector<UnitPtr> survivors) {
  if (slot.connection->was_ready()) {
    metrics_.connections.add(-1);
    metrics_.connection_losses.add();
  } else {
    ++slot.failures;
    metrics_.connect_failures.add();
  }
  slot.connection.reset();
  slot.next_attempt = Clock::now() + backoff(slot.failures);

  for (const UnitPtr& unit : survivors) {
    const auto other = pick(true);
    if (other) {
      other->submit(unit);
    } else {
      unit->finish(why);
    }
  }
  if (!closed_ && any_slot_hopeful()) return arm_sweep();
  down_ = why;
  for (const UnitPtr& unit : std::exchange(waiting_, {})) unit->finish(why);
  if (!closed_) arm_sweep();
}

void LoopPool::lease_closed(const std::shared_ptr<Connection>& connection, const Failure& why) {
  // A connection that never got ready was not counted as open.
  const bool was_idle = std::erase(idle_, connection) > 0;
  std::erase(leasable_, connection);
  if (!connection->was_ready()) {
    metrics_.connect_failures.add();
  } else {
    metrics_.connections.add(-1);
    metrics_.connection_losses.add();
  }
  if (was_idle || closed_) return;
  if (leasable_.empty() && !connection->was_ready()) {
    // Nobody will give one back: those who wait are told now.
    for (const auto& waiter : std::exchange(lease_waiters_, {})) waiter->signal->finish(why);
    return;
  }
  serve_waiters();
}

void LoopPool::on_reads_resent(std::size_t count) { metrics_.reads_resent.add(count); }

bool LoopPool::needs_sweep() const {
  if (closed_) return false;
  if (wanted_ > 0 || !lease_waiters_.empty()) return true;
  const auto busy = [](const auto& connection) {
    return !connection->ready() || connection->load() > 0;
  };
  return std::ranges::any_of(
             slots_, [&](const Slot& slot) { return !slot.connection || busy(slot.connection); }) ||
         std::ranges::any_of(leasable_, busy);
}

void LoopPool::arm_sweep() {
  if (closed_ || std::exchange(sweep_armed_, true)) return;
  sweep_timer_.expires_after(sweep_every);
  sweep_timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const auto self = weak.lock();
    if (!self) return;
    self->sweep_armed_ = false;
    if (error || self->closed_) return;
    self->sweep();
    if (self->needs_sweep()) self->arm_sweep();
  });
}

void LoopPool::sweep() {
  const auto now = Clock::now();
  for (Slot& slot : slots_) {
    if (!slot.spare && !slot.connection && now >= slot.next_attempt) dial_slot(slot);
    retire(slot, now);
    // A copy: expire() may close it, which empties the slot.
    if (const auto connection = slot.connection) connection->expire(now);
  }
  for (const auto& connection : std::vector{leasable_}) connection->expire(now);

  groups_->expire(now);
  for (const UnitPtr& unit : waiting_) {
    if (now >= unit->deadline) unit->finish(lost("no connection before the deadline"));
  }
  std::erase_if(waiting_, [](const UnitPtr& unit) { return unit->done; });
  for (const auto& waiter : lease_waiters_) {
    if (now >= waiter->deadline) {
      waiter->signal->finish(lost("no connection for a transaction before the deadline"));
    }
  }
  std::erase_if(lease_waiters_, [](const auto& waiter) { return waiter->signal->done; });
}

void LoopPool::close() {
  if (std::exchange(closed_, true)) return;
  sweep_timer_.cancel();
  const auto why = lost("the process stops");
  groups_->close(why);
  for (const Slot& slot : slots_) {
    if (const auto connection = slot.connection) connection->close(why);
  }
  for (const auto& connection : std::vector{leasable_}) connection->close(why);
  for (const auto& waiter : std::exchange(lease_waiters_, {})) waiter->signal->finish(why);
  for (const UnitPtr& unit : std::exchange(waiting_, {})) unit->finish(why);
}

}  // namespace stoa::postgres::detail
