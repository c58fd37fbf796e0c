#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/secret.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/postgres/database.hpp"
#include "servicekit/runtime/config.hpp"
#include "servicekit/runtime/service.hpp"

#include "services/order-service/app/ports.hpp"

namespace stoa::order {

inline constexpr std::string_view service_name = "order-service";
inline constexpr std::uint16_t default_port = 3003;

/// Every setting of order-service.
///   STOA_DATABASE_DSN, STOA_DATABASE_PASSWORD(_FILE)
///   STOA_BROKER_ADDRESSES, STOA_BROKER_USER (order-service), STOA_BROKER_PASSWORD(_FILE)
///   STOA_SERVICE_KEY(_FILE), STOA_SERVICE_JWKS
///   STOA_USER_SERVICE, STOA_PRODUCT_SERVICE, STOA_PAYMENT_SERVICE   host:port, …
///   STOA_PENDING_DEADLINE_SECONDS     600 (1 to 86,400): an unpaid order is looked after
///   STOA_CANCELLING_RETRY_SECONDS     30 (1 to 3,600): the request to cancel is told again
///   STOA_SWEEP_PERIOD_MS              1,000 (50 to 60,000)
///   STOA_CURSOR_KEY(_FILE)            signs the cursors of lists; the same in every replica.
///                                     Without it, one is derived from STOA_SERVICE_KEY
struct Config {
  runtime::ServiceConfig service;
  postgres::DatabaseConfig database;
  messaging::BrokerConfig broker;
  Secret<> service_key;
  std::string service_jwks;
  std::vector<std::string> user_service;
  std::vector<std::string> product_service;
  std::vector<std::string> payment_service;
  Patience patience;
  std::chrono::milliseconds sweep_period;
  Secret<> cursor_key;

  /// Throws ConfigurationError with every problem.
  static Config read(runtime::Environment& environment);
};

}  // namespace stoa::order
