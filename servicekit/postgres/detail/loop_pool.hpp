#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>

#include "servicekit/postgres/detail/connection.hpp"
#include "servicekit/postgres/detail/group_commit.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::postgres::detail {

/// Handles resolved once per loop.
struct Metrics {
  explicit Metrics(telemetry::Telemetry& telemetry);

  telemetry::Gauge connections;
  telemetry::Gauge transactions;
  telemetry::Gauge waiting;
  telemetry::Counter connection_losses;
  telemetry::Counter connect_failures;
  telemetry::Counter refused;
  telemetry::Counter unavailable;
  telemetry::Counter repeats;
  telemetry::Counter reads_resent;
  telemetry::Counter groups;
  telemetry::Counter group_members;
};

/// A caller that waits for a connection of its own.
struct LeaseWaiter {
  Clock::time_point deadline;
  std::shared_ptr<Connection> connection{};
  UnitPtr signal = std::make_shared<Unit>();  ///< finished when there is one, or a reason
};

/// The connections of one loop. Everything runs on that loop's thread.
class LoopPool final : public ConnectionOwner, public std::enable_shared_from_this<LoopPool> {
 public:
  LoopPool(boost::asio::io_context& loop, DatabaseConfig config, Connector& connector,
           telemetry::Telemetry& telemetry);

  void start();
  /// Fails what waits and closes every connection. The loop has stopped or never calls again.
  void close();

  /// One more statement or lease that is wanted. Throws Unavailable at once when there are
  /// waiting_max already, or when the server is known to be down.
  void admit();
  void leave();

  /// Sends now, or as soon as a connection that is being made is ready.
  void submit(UnitPtr unit);

  /// Sends with others of the same statement; see GroupCommit.
  void submit_grouped(UnitPtr unit) { groups_->submit(std::move(unit)); }

  /// Sends on the caller's own connection.
  void submit_on(const std::shared_ptr<Connection>& connection, UnitPtr unit);

  /// Asks for a connection of one's own; wait for `signal`, then read `connection`.
  std::shared_ptr<LeaseWaiter> lease(Clock::time_point deadline);
  void give_back(std::shared_ptr<Connection> connection);

  telemetry::Histogram& duration_of(const Query& query);
  telemetry::Telemetry& telemetry() { return telemetry_; }
  Metrics& metrics() { return metrics_; }

  void on_ready(std::shared_ptr<Connection> connection) override;
  void on_closed(std::shared_ptr<Connection> connection, Failure why,
                 std::vector<UnitPtr> survivors) override;
  void on_reads_resent(std::size_t count) override;

 private:
  using Timer = boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, Executor>;

  /// One of the connections that share single statements.
  struct Slot {
    std::shared_ptr<Connection> connection{};
    Clock::time_point next_attempt{};
    unsigned failures = 0;
    bool spare = false;  ///< made on demand, closed when idle
    Clock::time_point busy_at{};
  };

  std::shared_ptr<Connection> dial();
  void dial_slot(Slot& slot);
  void slot_closed(Slot& slot, const Failure& why, std::vector<UnitPtr> survivors);
  void lease_closed(const std::shared_ptr<Connection>& connection, const Failure& why);
  void serve_waiters();
  std::shared_ptr<Connection> pick(bool shares_sync);
  void add_spare();
  void retire(Slot& slot, Clock::time_point now);
  bool any_slot_hopeful() const;
  void sweep();
  void arm_sweep();
  bool needs_sweep() const;

  boost::asio::io_context& loop_;
  // Copies: a request that is destroyed with its loop may outlive the Database.
  DatabaseConfig config_;
  Connector& connector_;
  telemetry::Telemetry& telemetry_;
  Metrics metrics_;

  std::size_t first_server_ = 0;  ///< of a list of servers, the one that is asked first
  std::vector<Slot> slots_;
  std::deque<UnitPtr> waiting_;  ///< while no slot is ready
  std::size_t wanted_ = 0;
  std::optional<Failure> down_;  ///< why the last attempt failed, while no slot is ready

  std::shared_ptr<GroupCommit> groups_;

  std::vector<std::shared_ptr<Connection>> leasable_;  ///< of every state
  std::vector<std::shared_ptr<Connection>> idle_;      ///< taken from the back: the warmest
  std::deque<std::shared_ptr<LeaseWaiter>> lease_waiters_;

  Timer sweep_timer_;
  bool sweep_armed_ = false;
  bool closed_ = false;
  std::unordered_map<const char*, telemetry::Histogram> durations_;
};

}  // namespace stoa::postgres::detail
