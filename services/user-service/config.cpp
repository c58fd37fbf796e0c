#include "services/user-service/config.hpp"

#include <utility>

#include "servicekit/crypto/crypto.hpp"

namespace stoa::user {
namespace {

constexpr std::size_t key_characters_min = 32;

}  // namespace

StoreConfig StoreConfig::read(runtime::Environment& environment) {
  StoreConfig config{.database_dsn = environment.dsn("STOA_DATABASE"), .master_key = {}};
  const Secret<> key = environment.secret("STOA_KEY_ENCRYPTION_KEY");
  environment.demand(key.reveal().empty() || key.reveal().size() >= key_characters_min,
                     "STOA_KEY_ENCRYPTION_KEY", "must have at least 32 characters");
  const auto digest = crypto::sha256(key.reveal());
  config.master_key =
      Secret<>{std::string{reinterpret_cast<const char*>(digest.data()), digest.size()}};
  return config;
}

Config Config::read(runtime::Environment& environment) {
  Config config{
      .service = runtime::ServiceConfig::read(environment, service_name, default_port),
      .store = StoreConfig::read(environment),
      .broker = messaging::BrokerConfig::read(environment, service_name),
      .redis = {.address = environment.text("STOA_REDIS_ADDRESS", ""),
                .password =
                    environment.optional_secret("STOA_REDIS_PASSWORD").value_or(Secret<>{})},
      .service_jwks_path = environment.text("STOA_SERVICE_JWKS")};
  config.password_threads = environment.number("STOA_PASSWORD_THREADS", 2, 1, 64);
  config.password_queue = environment.number("STOA_PASSWORD_QUEUE", 64, 1, 10'000);
  config.login_limit = environment.number("STOA_LOGIN_LIMIT", 600, 1, 1'000'000);
  config.registration_limit = environment.number("STOA_REGISTRATION_LIMIT", 300, 1, 1'000'000);
  environment.demand(config.redis.address.empty() || config.redis.address.contains(':'),
                     "STOA_REDIS_ADDRESS", "must be host:port");
  // Given to every service alike; we call nobody, and what `demo` needs may stand in a shared file.
  environment.optional_secret("STOA_SERVICE_KEY");
  environment.addresses("STOA_USER_SERVICE", "127.0.0.1:3001");
  environment.text("STOA_DEMO_PASSWORD", "");
  environment.check();
  return config;
}

}  // namespace stoa::user
