#pragma once

#include "servicekit/auth/auth.hpp"
#include "servicekit/http/client.hpp"

#include "services/product-service/app/ports.hpp"

namespace stoa::product {

/// Asks order-service what became of a reservation.
class HttpOrders final : public OrderReservations {
 public:
  HttpOrders(http::Client& client, auth::ServiceTokens& tokens)
      : client_{client}, tokens_{tokens} {}

  Task<ReservationFate> abandon(Context context, ReservationId id, Uuid origin) override;

 private:
  http::Client& client_;
  auth::ServiceTokens& tokens_;
};

}  // namespace stoa::product
