#include "services/order-service/config.hpp"

#include <utility>

#include "servicekit/crypto/crypto.hpp"

namespace stoa::order {
namespace {

// A sweep that died with an order in hand delays it by this much.
constexpr std::chrono::seconds sweep_lease{5};

Secret<> derived_cursor_key(const Secret<>& service_key) {
  const auto digest = crypto::hmac_sha256(service_key, "order-service cursor key");
  return Secret<>{std::string{digest.begin(), digest.end()}};
}

}  // namespace

Config Config::read(runtime::Environment& environment) {
  const auto seconds = [&](std::string_view name, std::int64_t fallback, std::int64_t max) {
    return std::chrono::seconds{environment.number(name, fallback, 1, max)};
  };
  Config config{
      .service = runtime::ServiceConfig::read(environment, service_name, default_port),
      .database = {.dsn = environment.dsn("STOA_DATABASE"),
                   .application_name = std::string{service_name},
                   .generic_plans = true},
      .broker = messaging::BrokerConfig::read(environment, service_name),
      .service_key = environment.secret("STOA_SERVICE_KEY"),
      .service_jwks = environment.text("STOA_SERVICE_JWKS"),
      .user_service = environment.addresses("STOA_USER_SERVICE"),
      .product_service = environment.addresses("STOA_PRODUCT_SERVICE"),
      .payment_service = environment.addresses("STOA_PAYMENT_SERVICE"),
      .patience = {.pending = seconds("STOA_PENDING_DEADLINE_SECONDS", 600, 86'400),
                   .cancelling = seconds("STOA_CANCELLING_RETRY_SECONDS", 30, 3'600),
                   .lease = sweep_lease},
      .sweep_period = environment.milliseconds(
          "STOA_SWEEP_PERIOD_MS", std::chrono::milliseconds{1'000}, std::chrono::milliseconds{50},
          std::chrono::milliseconds{60'000}),
      .cursor_key = {},
  };
  auto cursor_key = environment.optional_secret("STOA_CURSOR_KEY");
  environment.check();
  config.cursor_key = cursor_key ? std::move(*cursor_key) : derived_cursor_key(config.service_key);
  return config;
}

}  // namespace stoa::order
