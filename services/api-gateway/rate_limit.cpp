#include "services/api-gateway/rate_limit.hpp"

#include <algorithm>
#include <format>
#include <utility>

namespace stoa::gateway {
namespace {

constexpr std::chrono::seconds window{60};
constexpr std::array<std::string_view, 5> names{"address", "user", "auth", "orders", "imports"};
constexpr std::size_t limit_line_max = 64;  // of what is left and for how long

}  // namespace

std::vector<redis::RateLimiter::Policy> RateLimit::policies(const LimitSettings& settings) {
  const std::array limits{settings.address, settings.user, settings.auth, settings.orders,
                          settings.imports};
  std::vector<redis::RateLimiter::Policy> all;
  all.reserve(policy_count);
  for (std::size_t i = 0; i < policy_count; ++i) {
    all.push_back({.name = std::string{names[i]}, .limit = limits[i], .window = window});
  }
  return all;
}

RateLimit::RateLimit(redis::RateLimiter& limiter, const LimitSettings& settings)
    : limiter_{limiter} {
  const auto all = policies(settings);
  for (std::size_t i = 0; i < policy_count; ++i) {
    policy_headers_[i] = std::format("ratelimit-policy: \"{}\";q={};w={}\r\n", all[i].name,
                                     all[i].limit, all[i].window.count());
  }
}

RateLimit::Verdict RateLimit::take(const http::Request& request, Traffic traffic) {
  std::optional<Taken> tightest;
  std::optional<http::Response> refusal;
  const auto ask = [&](Policy policy, const std::string& who) {
    if (refusal) return;
    const Taken taken{.policy = policy,
                      .allowance = limiter_.take(static_cast<std::size_t>(policy), who)};
    if (!taken.allowance.allowed) refusal = refuse(taken);
    if (!tightest || taken.allowance.remaining < tightest->allowance.remaining) tightest = taken;
  };
  ask(Policy::address, request.client_address());
  switch (traffic) {
    case Traffic::ordinary:
      break;
    case Traffic::auth:
      ask(Policy::auth, request.client_address());
      break;
    case Traffic::place_order:
      ask(Policy::orders, request.client_address());
      break;
    case Traffic::import:
      ask(Policy::imports, request.client_address());
      break;
  }
  if (request.identity().kind == http::Identity::Kind::user) {
    ask(Policy::user, request.identity().user.str());
  }
  if (refusal) return {.refusal = std::move(refusal)};
  return {.headers = headers(*tightest)};
}

void RateLimit::count_refused(const http::Request& request, http::Response& response) {
  const bool refused = response.status >= 400 && response.status < 500;
  if (!refused || response.headers.contains("ratelimit-policy: ")) return;
  auto verdict = take(request, traffic_of(http::name(request.method()), request.path()));
  if (verdict.refusal) {
    response = std::move(*verdict.refusal);
  } else {
    response.headers += verdict.headers;
  }
}

std::string RateLimit::headers(const Taken& taken) const {
  const auto policy = static_cast<std::size_t>(taken.policy);
  const redis::Allowance& allowance = taken.allowance;
  std::string lines;
  lines.reserve(policy_headers_[policy].size() + limit_line_max);
  lines += policy_headers_[policy];
  lines.append("ratelimit: \"").append(names[policy]).append("\";r=");
  lines.append(std::to_string(std::max<std::int64_t>(allowance.remaining, 0))).append(";t=");
  lines.append(std::to_string(allowance.reset.count())).append("\r\n");
  return lines;
}

http::Response RateLimit::refuse(const Taken& taken) const {
  http::Response response = http::problem(
      {.kind = ErrorKind::too_many,
       .code = "too_many_requests",
       .detail = "more requests than the limit allows; wait as long as Retry-After says",
       .retry_after = std::max(taken.allowance.reset, std::chrono::seconds{1})});
  response.headers += headers(taken);
  return response;
}

}  // namespace stoa::gateway
