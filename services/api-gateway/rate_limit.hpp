#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "servicekit/http/server.hpp"
#include "servicekit/redis/redis.hpp"

#include "services/api-gateway/config.hpp"
#include "services/api-gateway/routes.hpp"

namespace stoa::gateway {

/// Who may ask how often. The buckets are those of servicekit/redis: a decision never waits.
class RateLimit {
 public:
  static std::vector<redis::RateLimiter::Policy> policies(const LimitSettings& settings);

  /// `limiter` was made with policies(settings).
  RateLimit(redis::RateLimiter& limiter, const LimitSettings& settings);

  /// What one request met: a refusal (429 too_many_requests with Retry-After), or the headers
  /// RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers) for its answer.
  struct Verdict {
    std::optional<http::Response> refusal{};
    std::string headers{};
  };
  Verdict take(const http::Request& request, Traffic traffic);

  /// Counts a request that was refused (4xx) before it reached take(): a bad token, an unknown
  /// path, a body of the wrong type. Beyond the limit the answer becomes 429.
  void count_refused(const http::Request& request, http::Response& response);

 private:
  /// Positions in policies().
  enum class Policy : std::uint8_t { address, user, auth, orders, imports };
  static constexpr std::size_t policy_count = 5;

  struct Taken {
    Policy policy;
    redis::Allowance allowance;
  };
  std::string headers(const Taken& taken) const;
  http::Response refuse(const Taken& taken) const;

  redis::RateLimiter& limiter_;
  std::array<std::string, policy_count> policy_headers_;
};

}  // namespace stoa::gateway
