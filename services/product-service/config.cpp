#include "services/product-service/config.hpp"

#include <utility>

namespace stoa::product {
namespace {

constexpr std::size_t cursor_key_bytes_min = 16;

}  // namespace

Config Config::read(runtime::Environment& environment) {
  Config config{.service = runtime::ServiceConfig::read(environment, service_name, default_port),
                .database_dsn = environment.dsn("STOA_DATABASE"),
                .broker = messaging::BrokerConfig::read(environment, service_name),
                .service_key = environment.secret("STOA_SERVICE_KEY"),
                .service_jwks_path = environment.text("STOA_SERVICE_JWKS"),
                .user_service = environment.addresses("STOA_USER_SERVICE"),
                .order_service = environment.addresses("STOA_ORDER_SERVICE"),
                .cursor_key = environment.secret("STOA_CURSOR_KEY")};
  const std::string redis = environment.text("STOA_REDIS_ADDRESS", "");
  const auto redis_password = environment.optional_secret("STOA_REDIS_PASSWORD");
  if (!redis.empty()) {
    config.redis = {.address = redis, .password = redis_password.value_or(Secret<>{})};
  }
  config.reservation_deadline =
      std::chrono::seconds{environment.number("STOA_RESERVATION_DEADLINE_SECONDS", 900, 5, 86'400)};
  environment.demand(config.cursor_key.reveal().size() >= cursor_key_bytes_min, "STOA_CURSOR_KEY",
                     "has at least 16 bytes");
  const auto currency = Currency::parse(environment.text("STOA_DEFAULT_CURRENCY", "EUR"));
  environment.demand(currency.has_value(), "STOA_DEFAULT_CURRENCY", "is a code of ISO 4217");
  if (currency) config.default_currency = *currency;
  environment.check();
  return config;
}

}  // namespace stoa::product
