#pragma once

#include <vector>

#include "servicekit/messaging/messaging.hpp"

#include "services/payment-service/app/charges.hpp"
#include "services/payment-service/app/refunds.hpp"

namespace stoa::payment {

/// What order-service tells us: order.placed and order.cancel_requested, version 1.
class OrderEvents {
 public:
  OrderEvents(Charges& charges, Refunds& refunds) : charges_{charges}, refunds_{refunds} {}

  /// Handler of payment-service.order-placed: one statement for the batch; the provider is asked
  /// after the ack.
  Task<std::vector<messaging::Verdict>> placed(Context context,
                                               std::vector<messaging::Event> events);

  /// Handler of payment-service.order-cancel-requested: one transaction for each event.
  Task<std::vector<messaging::Verdict>> cancel_requested(Context context,
                                                         std::vector<messaging::Event> events);

 private:
  Charges& charges_;
  Refunds& refunds_;
};

}  // namespace stoa::payment
