#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "servicekit/core/secret.hpp"
#include "servicekit/redis/redis.hpp"
#include "servicekit/runtime/config.hpp"
#include "servicekit/runtime/service.hpp"

namespace stoa::gateway {

/// Requests per minute, each also the size of the bucket: 1 to 100,000,000.
///   STOA_LIMIT_ADDRESS_PER_MINUTE (6000)  every request, by client address
///   STOA_LIMIT_USER_PER_MINUTE    (3000)  every request with a token, by user
///   STOA_LIMIT_AUTH_PER_MINUTE    (300)   POST /auth/*, by client address
///   STOA_LIMIT_ORDERS_PER_MINUTE  (600)   POST /orders, by client address
///   STOA_LIMIT_IMPORTS_PER_MINUTE (60)    POST /imports, by client address
struct LimitSettings {
  std::int64_t address = 6'000;
  std::int64_t user = 3'000;
  std::int64_t auth = 300;
  std::int64_t orders = 600;
  std::int64_t imports = 60;
};

///   STOA_UPSTREAM_TIMEOUT_MS     (5000; 100 to 60000)      of one proxied call
///   STOA_UPLOAD_TIMEOUT_MS       (300000; 1000 to 3600000) of one import, its body included
///   STOA_UPSTREAM_CONNECTIONS    (128; 1 to 10000)         per loop and address
///   STOA_UPSTREAM_WAITING        (512; 0 to 100000)        calls that wait for one, per loop
///   STOA_UPSTREAM_TARGET_MS      (75; 10 to 60000)         mean of a call, beyond it less is let
///   in
struct UpstreamSettings {
  std::chrono::milliseconds timeout{5'000};
  std::chrono::milliseconds upload_timeout{300'000};
  std::size_t connections_max = 128;
  std::size_t waiting_max = 512;
  std::chrono::milliseconds target{75};
};

/// Every setting of the gateway beside those of every service (ServiceConfig).
///   STOA_USER_SERVICE STOA_PRODUCT_SERVICE STOA_ORDER_SERVICE STOA_PAYMENT_SERVICE
///                                address lists, "host:port,host:port"; required
///   STOA_REDIS_ADDRESS           "host:port", required; away, every process limits alone
///   STOA_REDIS_PASSWORD(_FILE)   optional
///   STOA_SERVICE_KEY(_FILE)      PEM, RSA: signs the calls for the revocation list
///   STOA_SERVICE_JWKS            path of the services' public keys
///   STOA_CORS_ORIGINS            origins whose pages may call, comma-separated; empty: none
struct Config {
  runtime::ServiceConfig service;
  std::vector<std::string> user_service;
  std::vector<std::string> product_service;
  std::vector<std::string> order_service;
  std::vector<std::string> payment_service;
  redis::RedisConfig redis;
  Secret<> service_key;
  std::string service_jwks;
  std::vector<std::string> cors_origins;
  LimitSettings limits;
  UpstreamSettings upstream;

  /// Does not complain by itself: see Environment::check().
  static Config read(runtime::Environment& environment);
};

}  // namespace stoa::gateway
