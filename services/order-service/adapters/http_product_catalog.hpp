#pragma once

#include "servicekit/auth/auth.hpp"
#include "servicekit/http/client.hpp"

#include "services/order-service/app/ports.hpp"

namespace stoa::order {

/// Stock and prices from product-service.
class HttpProductCatalog final : public StockAndPrices {
 public:
  HttpProductCatalog(http::Client& products, auth::ServiceTokens& tokens)
      : products_{products}, tokens_{tokens} {}

  Task<Result<std::vector<PricedLine>>> reserve(Context context, Reserve command) override;
  Task<> release(Context context, ReservationId id) override;

 private:
  http::Client& products_;
  auth::ServiceTokens& tokens_;
};

}  // namespace stoa::order
