#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "servicekit/core/secret.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/postgres/migrations.hpp"
#include "servicekit/redis/redis.hpp"
#include "servicekit/runtime/service.hpp"

namespace stoa::user {

inline constexpr std::string_view service_name = "user-service";
inline constexpr std::uint16_t default_port = 3'001;

/// What serving, and every command but `migrate`, needs.
struct StoreConfig {
  Secret<> database_dsn;  ///< STOA_DATABASE_DSN, STOA_DATABASE_PASSWORD(_FILE)
  /// SHA-256 of STOA_KEY_ENCRYPTION_KEY(_FILE), a text of at least 32 characters: what the signing
  /// keys are sealed under.
  Secret<> master_key;

  static StoreConfig read(runtime::Environment& environment);
};

struct Config {
  runtime::ServiceConfig service;
  StoreConfig store;
  messaging::BrokerConfig broker;  ///< STOA_BROKER_ADDRESSES, _USER, _PASSWORD(_FILE)
  redis::RedisConfig redis;        ///< STOA_REDIS_ADDRESS, _PASSWORD(_FILE); may be left out
  std::string service_jwks_path;   ///< STOA_SERVICE_JWKS
  /// Threads that hash passwords, 19 MiB each: STOA_PASSWORD_THREADS, 1 to 64.
  std::int64_t password_threads = 2;
  /// Hashes waiting or running; beyond: 503. STOA_PASSWORD_QUEUE, 1 to 10,000.
  std::int64_t password_queue = 64;
  /// Logins a minute from one address: STOA_LOGIN_LIMIT, 1 to 1,000,000.
  std::int64_t login_limit = 600;
  /// Registrations a minute from one address: STOA_REGISTRATION_LIMIT, 1 to 1,000,000.
  std::int64_t registration_limit = 300;

  static Config read(runtime::Environment& environment);
};

/// Compiled in from migrations/.
std::span<const postgres::Migration> migrations();

}  // namespace stoa::user
