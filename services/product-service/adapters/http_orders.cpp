#include "services/product-service/adapters/http_orders.hpp"

#include <format>
#include <utility>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/runtime/crash_point.hpp"

#include "services/product-service/adapters/reservation_json.hpp"

namespace stoa::product {

Task<ReservationFate> HttpOrders::abandon(Context context, ReservationId id, Uuid origin) {
  // Repeatable: once abandoned, or held, it stays so.
  http::ClientRequest request{
      .method = http::Method::post,
      .target = std::format("/internal/v1/reservations/{}/abandon", id.str()),
      .headers = tokens_.authorization_for("order-service"),
      .body = abandon_json(origin),
      .idempotent = true};
  const auto response = co_await client_.send(std::move(context), std::move(request));
  runtime::crash_point("product.sweep.after_answer");
  if (response.status != 200) {
    throw Unavailable{std::format("order-service answered {} to abandon", response.status)};
  }
  auto fate = parse_fate(response.body);
  if (!fate) throw Unavailable{"order-service answered something else than a reservation's fate"};
  co_return std::move(*fate);
}

}  // namespace stoa::product
