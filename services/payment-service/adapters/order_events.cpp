#include "services/payment-service/adapters/order_events.hpp"

#include <format>
#include <string>
#include <utility>

#include "servicekit/crypto/crypto.hpp"

#include "services/payment-service/adapters/payment_events.hpp"

namespace stoa::payment {
namespace {

using messaging::Event;
using messaging::Verdict;

constexpr int known_version = 1;

/// Why this event can never be done; "" when it can.
std::string unknown_kind(const Event& event, std::string_view type) {
  if (event.type != type) return std::format("{} does not belong here", event.type);
  if (event.version != known_version) return std::format("unknown version {}", event.version);
  return "";
}

}  // namespace

Task<std::vector<Verdict>> OrderEvents::placed(Context context, std::vector<Event> events) {
  std::vector<Verdict> verdicts;
  std::vector<PlacedOrder> orders;
  for (const Event& event : events) {
    std::string why = unknown_kind(event, "order.placed");
    if (!why.empty()) {
      verdicts.push_back(Verdict::refuse(std::move(why)));
      continue;
    }
    auto data = parse_order_placed(event.data);
    if (!data) {
      verdicts.push_back(Verdict::refuse(data.error()));
      continue;
    }
    verdicts.push_back(Verdict::done());
    orders.push_back({.event = event.id,
                      .order = data->order,
                      .customer = data->customer,
                      .amount = data->amount,
                      .token = std::move(data->token),
                      .traceparent = event.trace.valid() ? event.trace.traceparent() : "",
                      .payment = {crypto::new_uuid()},
                      .attempt = {crypto::new_uuid()}});
  }
  if (!orders.empty()) co_await charges_.open(std::move(context), std::move(orders));
  co_return verdicts;
}

Task<std::vector<Verdict>> OrderEvents::cancel_requested(Context context,
                                                         std::vector<Event> events) {
  std::vector<Verdict> verdicts;
  for (const Event& event : events) {
    std::string why = unknown_kind(event, "order.cancel_requested");
    if (!why.empty()) {
      verdicts.push_back(Verdict::refuse(std::move(why)));
      continue;
    }
    const auto data = parse_cancel_requested(event.data);
    if (!data) {
      verdicts.push_back(Verdict::refuse(data.error()));
      continue;
    }
    Cancellation cancellation{.event = event.id,
                              .order = data->order,
                              .customer = data->customer,
                              .traceparent = event.trace.valid() ? event.trace.traceparent() : "",
                              .spare_payment = {crypto::new_uuid()}};
    co_await refunds_.close_order(context, std::move(cancellation));
    verdicts.push_back(Verdict::done());
  }
  co_return verdicts;
}

}  // namespace stoa::payment
