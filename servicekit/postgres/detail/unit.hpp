#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/async/task.hpp"
#include "servicekit/postgres/database.hpp"

// What one caller waits for, and what became of it. Internal to servicekit/postgres.
namespace stoa::postgres::detail {

using Clock = std::chrono::steady_clock;

struct Failure {
  std::string sqlstate;  ///< "" when the server never spoke
  std::string message;
  bool unavailable;  ///< the world failed, as opposed to: the statement is wrong
};

Failure lost(std::string why);
/// Sorts what the server said: connection, shutdown, resources, time-outs and requests to repeat
/// are the world; the rest is the statement.
Failure refused(std::string_view sqlstate, std::string message);
/// Whether PostgreSQL undid everything and asks for a repeat (40001, 40P01).
bool asks_for_repeat(const Failure& failure);
[[noreturn]] void raise(const Failure& failure);

/// Statements that succeed or fail together, under one Sync.
struct Unit {
  std::vector<Query> queries;
  Clock::time_point deadline;
  bool shares_sync = false;  ///< one declared read: may stand beside other reads, may be re-sent
  bool in_transaction = false;
  std::string_view command_tag{};  ///< the last statement must answer with it: COMMIT, not ROLLBACK

  std::vector<Rows> results{};
  std::optional<Failure> failure{};
  bool statement_missing = false;  ///< refused before it ran: not prepared on that connection
  bool own_sync = false;           ///< as it was sent last
  int sends = 0;
  bool done = false;
  std::move_only_function<void()> on_done{};

  /// The first call counts; a caller whose deadline passed is gone when the answer comes.
  void finish();
  void finish(Failure why);
};
using UnitPtr = std::shared_ptr<Unit>;

/// Resumes on the caller's loop, never inside finish().
Task<> wait_for(UnitPtr unit);

}  // namespace stoa::postgres::detail
