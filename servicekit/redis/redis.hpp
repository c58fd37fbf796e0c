#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "servicekit/async/context.hpp"
#include "servicekit/async/loops.hpp"
#include "servicekit/async/task.hpp"
#include "servicekit/core/secret.hpp"

namespace stoa::telemetry {
class Telemetry;
}

namespace stoa::redis {

struct RedisConfig {
  /// "host:port", or "rediss://host:port" for TLS with the system's roots (or SSL_CERT_FILE) and a
  /// certificate for that host. Empty: there is no Redis.
  std::string address;
  std::string username{};
  Secret<> password{};
  std::chrono::milliseconds timeout{50};  ///< of one command: Redis is speed, not truth
};

/// Cache-aside. Redis gone, slow or flushed costs speed, never correctness: every failure is a miss
/// and a counter.
class Cache {
 public:
  Cache(Loops& loops, RedisConfig config, telemetry::Telemetry& telemetry);
  ~Cache();
  void start();

  using Load = std::function<Task<std::optional<std::string>>(Context)>;

  /// The cached value of `key`, or what `load` returns, stored for `ttl` (± 10 %). Concurrent
  /// misses of one key on one loop share one load. An empty load is not cached. A value loaded
  /// before an invalidate() of its key is never stored after it.
  Task<std::optional<std::string>> get(Context context, std::string key, std::chrono::seconds ttl,
                                       Load load);

  /// Removes keys; to be called after the commit that made them wrong.
  Task<> invalidate(Context context, std::vector<std::string> keys);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

struct Allowance {
  bool allowed = true;
  std::int64_t limit = 0;      ///< of the window: RateLimit-Policy
  std::int64_t remaining = 0;  ///< RateLimit
  std::chrono::seconds reset{0};
};

/// Token buckets kept per loop and reconciled with Redis in the background, so that a decision
/// costs no round trip. Without Redis each process counts alone.
class RateLimiter {
 public:
  struct Policy {
    std::string name;
    std::int64_t limit = 0;  ///< tokens added per window
    std::chrono::seconds window{60};
    std::int64_t burst = 0;  ///< size of the bucket; 0: limit
  };
  RateLimiter(Loops& loops, RedisConfig config, std::vector<Policy> policies,
              telemetry::Telemetry& telemetry);
  ~RateLimiter();
  void start();

  /// Takes one token of `who` under the policy at `policy_index`. Never waits.
  Allowance take(std::size_t policy_index, const std::string& who);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace stoa::redis
