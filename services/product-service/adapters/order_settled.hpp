#pragma once

#include <vector>

#include "servicekit/messaging/messaging.hpp"
#include "servicekit/telemetry/telemetry.hpp"

#include "services/product-service/app/reservations.hpp"

namespace stoa::product {

/// Consumes order.paid, order.cancelled and order.payment_failed: a paid order's units are gone, an
/// ended order's come back. In any order, any number of times. A reservation that nobody knows was
/// lost when the database was set back: it is logged (reservation_lost), and holds no stock.
class OrderSettled {
 public:
  OrderSettled(Reservations& reservations, telemetry::Telemetry& telemetry)
      : reservations_{reservations}, telemetry_{telemetry} {}

  Task<std::vector<messaging::Verdict>> handle(Context context,
                                               std::vector<messaging::Event> events);

 private:
  Reservations& reservations_;
  telemetry::Telemetry& telemetry_;
};

}  // namespace stoa::product
