#include "services/payment-service/config.hpp"

#include "servicekit/runtime/config.hpp"

namespace stoa::payment {

using std::chrono::milliseconds;

Config Config::read() {
  runtime::Environment environment;
  Config config;
  config.service = runtime::ServiceConfig::read(environment, "payment-service", default_port);
  config.database_dsn = environment.dsn("STOA_DATABASE");
  config.broker = messaging::BrokerConfig::read(environment, "payment-service");
  config.service_key = environment.secret("STOA_SERVICE_KEY");
  config.service_jwks = environment.text("STOA_SERVICE_JWKS");
  config.users = environment.addresses("STOA_USER_SERVICE");
  config.provider_addresses = environment.addresses("STOA_PROVIDER_ADDRESSES");
  config.provider_key = environment.secret("STOA_PROVIDER_KEY");
  config.webhook_secret = environment.secret("STOA_PROVIDER_WEBHOOK_SECRET");
  config.provider_timeout = environment.milliseconds(
      "STOA_PROVIDER_TIMEOUT_MS", milliseconds{3'000}, milliseconds{100}, milliseconds{30'000});
  config.provider_calls_max =
      static_cast<std::size_t>(environment.number("STOA_PROVIDER_CALLS_MAX", 64, 1, 1'000));
  config.lease = environment.milliseconds("STOA_LEASE_MS", milliseconds{10'000},
                                          milliseconds{1'000}, milliseconds{60'000});
  environment.check();
  return config;
}

CommandConfig CommandConfig::read() {
  runtime::Environment environment;
  CommandConfig config;
  config.database_dsn = environment.dsn("STOA_DATABASE");
  config.provider_addresses = environment.addresses("STOA_PROVIDER_ADDRESSES");
  config.provider_key = environment.secret("STOA_PROVIDER_KEY");
  environment.check_read();
  return config;
}

}  // namespace stoa::payment
