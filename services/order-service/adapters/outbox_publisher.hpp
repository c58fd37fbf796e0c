#pragma once

#include "servicekit/messaging/messaging.hpp"

#include "services/order-service/app/ports.hpp"

namespace stoa::order {

/// The relay, as the use cases see it.
class OutboxPublisher final : public Publisher {
 public:
  explicit OutboxPublisher(messaging::OutboxRelay& relay) : relay_{relay} {}

  bool accepting() const override { return relay_.accepting(); }
  void wake() override { relay_.wake(); }

 private:
  messaging::OutboxRelay& relay_;
};

}  // namespace stoa::order
