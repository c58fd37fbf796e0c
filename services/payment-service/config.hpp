#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "servicekit/core/secret.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/postgres/migrations.hpp"
#include "servicekit/runtime/service.hpp"

namespace stoa::payment {

inline constexpr std::uint16_t default_port = 3004;

/// Every setting of this service, beyond those of ServiceConfig.
struct Config {
  runtime::ServiceConfig service;
  Secret<> database_dsn;                        ///< STOA_DATABASE_DSN, _PASSWORD(_FILE)
  messaging::BrokerConfig broker;               ///< STOA_BROKER_ADDRESSES, _USER, _PASSWORD(_FILE)
  Secret<> service_key;                         ///< STOA_SERVICE_KEY(_FILE), PEM
  std::string service_jwks;                     ///< STOA_SERVICE_JWKS, a path
  std::vector<std::string> users;               ///< STOA_USER_SERVICE
  std::vector<std::string> provider_addresses;  ///< STOA_PROVIDER_ADDRESSES
  Secret<> provider_key;                        ///< STOA_PROVIDER_KEY(_FILE)
  Secret<> webhook_secret;                      ///< STOA_PROVIDER_WEBHOOK_SECRET(_FILE)
  /// STOA_PROVIDER_TIMEOUT_MS (3,000; 100–30,000): of one call; then the attempt is unknown.
  std::chrono::milliseconds provider_timeout{};
  /// STOA_PROVIDER_CALLS_MAX (64; 1–1,000): at a time.
  std::size_t provider_calls_max = 0;
  /// STOA_LEASE_MS (10,000; 1,000–60,000): after which another replica takes an attempt over.
  std::chrono::milliseconds lease{};

  /// Throws runtime::ConfigurationError with every problem.
  static Config read();
};

/// What the commands need that talk to the provider: database, provider, nothing else.
struct CommandConfig {
  Secret<> database_dsn;
  std::vector<std::string> provider_addresses;
  Secret<> provider_key;

  static CommandConfig read();
};

std::span<const postgres::Migration> migrations();

}  // namespace stoa::payment
