#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "servicekit/auth/auth.hpp"
#include "servicekit/core/currency.hpp"
#include "servicekit/core/require.hpp"
#include "servicekit/core/secret.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/redis/redis.hpp"
#include "servicekit/runtime/config.hpp"
#include "servicekit/runtime/service.hpp"

namespace stoa::product {

inline constexpr std::string_view service_name = "product-service";
inline constexpr std::uint16_t default_port = 3002;

/// Every setting of this service beside those of ServiceConfig.
struct Config {
  runtime::ServiceConfig service{};
  Secret<> database_dsn{};  ///< STOA_DATABASE_DSN, STOA_DATABASE_PASSWORD(_FILE)
  messaging::BrokerConfig broker{};
  std::optional<redis::RedisConfig> redis{};  ///< STOA_REDIS_ADDRESS; empty: no cache
  Secret<> service_key{};                     ///< STOA_SERVICE_KEY(_FILE), PEM
  std::string service_jwks_path{};            ///< STOA_SERVICE_JWKS
  std::vector<std::string> user_service{};    ///< STOA_USER_SERVICE
  std::vector<std::string> order_service{};   ///< STOA_ORDER_SERVICE
  Secret<> cursor_key{};                      ///< STOA_CURSOR_KEY(_FILE), the same on every replica
  /// Seconds, 5 to 86,400: how long stock is held before its order is asked for.
  std::chrono::seconds reservation_deadline{900};
  /// Of price filters and price sorts that name none: STOA_DEFAULT_CURRENCY, "EUR".
  Currency default_currency = *Currency::parse("EUR");

  /// Throws runtime::ConfigurationError with everything that is wrong.
  static Config read(runtime::Environment& environment);
};

}  // namespace stoa::product
