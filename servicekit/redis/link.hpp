#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "servicekit/async/context.hpp"
#include "servicekit/async/task.hpp"
#include "servicekit/redis/redis.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace boost::redis {
class connection;  // NOLINT(readability-identifier-naming): theirs
}

// Private to this folder.
namespace stoa::redis::detail {

using Command = std::vector<std::string>;
/// The values of all replies in order, arrays flattened; nil is empty.
using Replies = std::vector<std::optional<std::string>>;

/// One connection of one loop, kept up for ever. Every failure is an empty result: who asks Redis
/// must be able to go on without it.
class Link : public std::enable_shared_from_this<Link> {
 public:
  static constexpr std::size_t in_flight_max = 1'024;
  /// After so many failures in a row Redis is left alone for `rest`, then asked once.
  static constexpr int failures_max = 3;
  static constexpr std::chrono::milliseconds rest{200};
  static constexpr std::chrono::milliseconds reconnect_min{50};
  static constexpr std::chrono::milliseconds reconnect_max{1'000};

  Link(boost::asio::io_context& loop, RedisConfig config, telemetry::Counter failures);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// Connects, and connects again; returns after stop(). Holds the link itself, since a coroutine
  /// of a stopped loop is destroyed later than what started it.
  static Task<> run(std::shared_ptr<Link> link);
  void stop() { stopping_ = true; }

  /// One round trip for all commands. Empty when Redis is away, slower than the time-out, or
  /// answers one of them with an error.
  Task<std::optional<Replies>> execute(Context context, std::vector<Command> commands);

 private:
  struct Call;

  bool worth_asking();
  void succeeded();
  void failed();

  boost::asio::io_context& loop_;
  RedisConfig config_;
  telemetry::Counter failures_counter_;
  std::shared_ptr<boost::redis::connection> connection_;
  std::size_t in_flight_ = 0;
  int failures_ = 0;
  std::chrono::steady_clock::time_point ask_again_at_{};
  std::atomic<bool> stopping_{false};
};

}  // namespace stoa::redis::detail
