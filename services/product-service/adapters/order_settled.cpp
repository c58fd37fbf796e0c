#include "services/product-service/adapters/order_settled.hpp"

#include <string_view>
#include <utility>

#include "servicekit/runtime/crash_point.hpp"

#include "services/product-service/adapters/reservation_json.hpp"

namespace stoa::product {
namespace {

using messaging::Verdict;

constexpr int version_known = 1;

std::optional<OrderOutcome> outcome_of_event(std::string_view type) {
  if (type == "order.paid") return OrderOutcome::paid;
  if (type == "order.cancelled" || type == "order.payment_failed") return OrderOutcome::ended;
  return std::nullopt;
}

}  // namespace

Task<std::vector<Verdict>> OrderSettled::handle(Context context,
                                                std::vector<messaging::Event> events) {
  std::vector<Verdict> verdicts(events.size());
  std::vector<SettledOrder> orders;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const messaging::Event& event = events[i];
    const auto outcome = outcome_of_event(event.type);
    const auto reservation = parse_settled(event.data);
    if (!outcome || event.version != version_known) {
      verdicts[i] = Verdict::refuse("unknown type or version: " + event.type);
    } else if (!reservation) {
      verdicts[i] = Verdict::refuse(reservation.error().detail);
    } else {
      orders.push_back({.event_id = event.id, .reservation = *reservation, .outcome = *outcome});
      places.push_back(i);
    }
  }
  if (orders.empty()) co_return verdicts;

  const auto known = co_await reservations_.settle(context, orders);
  runtime::crash_point("product.settle.before_ack");
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (known[i]) continue;
    telemetry_.error(context, "reservation_lost",
                     {{"reservation_id", orders[i].reservation.str()},
                      {"event_id", EventId{orders[i].event_id}.str()}});
  }
  co_return verdicts;
}

}  // namespace stoa::product
