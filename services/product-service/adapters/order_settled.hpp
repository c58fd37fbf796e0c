#pragma once

#include <vector>

#include "servicekit/messaging/messaging.hpp"

#include "services/product-service/app/reservations.hpp"

namespace stoa::product {

/// Consumes order.paid, order.cancelled and order.payment_failed: a paid order's units are gone, an
/// ended order's come back. In any order, any number of times.
class OrderSettled {
 public:
  explicit OrderSettled(Reservations& reservations) : reservations_{reservations} {}

  Task<std::vector<messaging::Verdict>> handle(Context context,
                                               std::vector<messaging::Event> events);

 private:
  Reservations& reservations_;
};

}  // namespace stoa::product
