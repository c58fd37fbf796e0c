#pragma once

#include <vector>

#include "servicekit/messaging/messaging.hpp"

#include "services/order-service/app/orders.hpp"

namespace stoa::order {

/// Consumes order-service.payment-results: payment.captured, payment.declined, payment.voided and
/// payment.refunded.
class PaymentResults {
 public:
  static constexpr std::string_view queue = "order-service.payment-results";

  explicit PaymentResults(Orders& orders) : orders_{orders} {}

  Task<std::vector<messaging::Verdict>> handle(Context context,
                                               std::vector<messaging::Event> events);

 private:
  Orders& orders_;
};

}  // namespace stoa::order
