#pragma once

#include "servicekit/http/server.hpp"
#include "servicekit/telemetry/telemetry.hpp"

#include "services/product-service/app/reservations.hpp"

namespace stoa::product {

/// Reservations for order-service: internal, never routed by the gateway.
class ReservationApi {
 public:
  ReservationApi(Reservations& reservations, telemetry::Telemetry& telemetry);

  void mount(http::Router& router);

 private:
  Task<http::Response> reserve(Context context, http::Request request);
  Task<http::Response> release(Context context, http::Request request);

  Reservations& reservations_;
  telemetry::Counter reserved_;
  telemetry::Counter out_of_stock_;
  telemetry::Counter refused_;
};

}  // namespace stoa::product
