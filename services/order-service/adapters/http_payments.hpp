#pragma once

#include "servicekit/auth/auth.hpp"
#include "servicekit/http/client.hpp"

#include "services/order-service/app/ports.hpp"

namespace stoa::order {

/// What payment-service knows of an order.
class HttpPayments final : public Payments {
 public:
  HttpPayments(http::Client& payments, auth::ServiceTokens& tokens)
      : payments_{payments}, tokens_{tokens} {}

  Task<Known> state_of(Context context, OrderId id) override;

 private:
  http::Client& payments_;
  auth::ServiceTokens& tokens_;
};

}  // namespace stoa::order
