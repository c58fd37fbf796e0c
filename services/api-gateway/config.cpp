#include "services/api-gateway/config.hpp"

#include <algorithm>
#include <utility>

namespace stoa::gateway {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t default_port = 3'000;
constexpr std::int64_t limit_max = 100'000'000;

bool is_origin(const std::string& text) {
  const bool known_scheme = text.starts_with("http://") || text.starts_with("https://");
  const std::size_t host = text.find("//") + 2;
  return known_scheme && text.size() > host &&
         text.find_first_of("/,* ", host) == std::string::npos;
}

LimitSettings read_limits(runtime::Environment& environment) {
  const LimitSettings usual;
  const auto limit = [&](std::string_view name, std::int64_t fallback) {
    return environment.number(name, fallback, 1, limit_max);
  };
  return {.address = limit("STOA_LIMIT_ADDRESS_PER_MINUTE", usual.address),
          .user = limit("STOA_LIMIT_USER_PER_MINUTE", usual.user),
          .auth = limit("STOA_LIMIT_AUTH_PER_MINUTE", usual.auth),
          .orders = limit("STOA_LIMIT_ORDERS_PER_MINUTE", usual.orders),
          .imports = limit("STOA_LIMIT_IMPORTS_PER_MINUTE", usual.imports)};
}

UpstreamSettings read_upstream(runtime::Environment& environment) {
  const UpstreamSettings usual;
  return {
      .timeout = environment.milliseconds("STOA_UPSTREAM_TIMEOUT_MS", usual.timeout, 100ms, 60s),
      .upload_timeout =
          environment.milliseconds("STOA_UPLOAD_TIMEOUT_MS", usual.upload_timeout, 1s, 1h),
      .connections_max = static_cast<std::size_t>(
          environment.number("STOA_UPSTREAM_CONNECTIONS",
                             static_cast<std::int64_t>(usual.connections_max), 1, 10'000)),
      .waiting_max = static_cast<std::size_t>(environment.number(
          "STOA_UPSTREAM_WAITING", static_cast<std::int64_t>(usual.waiting_max), 0, 100'000)),
      .target = environment.milliseconds("STOA_UPSTREAM_TARGET_MS", usual.target, 10ms, 60s)};
}

}  // namespace

Config Config::read(runtime::Environment& environment) {
  Config config;
  config.service = runtime::ServiceConfig::read(environment, "api-gateway", default_port);
  // Strangers ask here: their idea of a deadline is none of ours.
  config.service.server.trust_deadline_header = false;
  config.user_service = environment.addresses("STOA_USER_SERVICE");
  config.product_service = environment.addresses("STOA_PRODUCT_SERVICE");
  config.order_service = environment.addresses("STOA_ORDER_SERVICE");
  config.payment_service = environment.addresses("STOA_PAYMENT_SERVICE");
  config.redis.address = environment.text("STOA_REDIS_ADDRESS");
  environment.demand(config.redis.address.contains(':'), "STOA_REDIS_ADDRESS", "must be host:port");
  if (auto password = environment.optional_secret("STOA_REDIS_PASSWORD")) {
    config.redis.password = std::move(*password);
  }
  config.service_key = environment.secret("STOA_SERVICE_KEY");
  config.service_jwks = environment.text("STOA_SERVICE_JWKS");
  config.cors_origins = environment.list("STOA_CORS_ORIGINS", "");
  environment.demand(std::ranges::all_of(config.cors_origins, is_origin), "STOA_CORS_ORIGINS",
                     "must be origins like https://shop.example");
  config.limits = read_limits(environment);
  config.upstream = read_upstream(environment);
  return config;
}

}  // namespace stoa::gateway
