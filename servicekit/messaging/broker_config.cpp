#include "servicekit/messaging/messaging.hpp"
#include "servicekit/runtime/config.hpp"

namespace stoa::messaging {

BrokerConfig BrokerConfig::read(runtime::Environment& environment, std::string_view service) {
  BrokerConfig config;
  config.addresses = environment.addresses("STOA_BROKER_ADDRESSES");
  config.user = environment.text("STOA_BROKER_USER", std::string{service});
  config.password = environment.secret("STOA_BROKER_PASSWORD");
  config.ca_path = environment.text("STOA_BROKER_CA", "");
  return config;
}

}  // namespace stoa::messaging
