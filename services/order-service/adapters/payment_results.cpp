#include "services/order-service/adapters/payment_results.hpp"

#include <format>
#include <utility>

#include "servicekit/json/json.hpp"

namespace stoa::order {
namespace {

using messaging::Event;
using messaging::Verdict;

constexpr int known_version = 1;

struct PaymentEventJson {
  std::string order_id;
  std::string customer_id;
  std::optional<std::string> reason;
  std::optional<bool> closes_order;
};

// A fact for the orders, or the verdict on an event that tells none.
using Reading = std::variant<PaymentFact, Verdict>;

std::optional<PaymentResult> result_of(const Event& event, const PaymentEventJson& data) {
  if (event.type == "payment.captured") return PaymentResult::captured;
  if (event.type == "payment.declined") return PaymentResult::declined;
  if (event.type == "payment.voided") return PaymentResult::voided;
  if (event.type == "payment.refunded" && data.closes_order.value_or(false)) {
    return PaymentResult::refunded_to_close;
  }
  return std::nullopt;
}

Reading read(const Event& event) {
  if (event.version != known_version) return Verdict::refuse("an unknown version of the event");
  auto data = json::read_lenient<PaymentEventJson>(event.data);
  if (!data) return Verdict::refuse("the event's data cannot be read");
  const auto order = OrderId::parse(data->order_id);
  if (!order) return Verdict::refuse("the event names no order");
  const auto customer = UserId::parse(data->customer_id);
  if (!customer) return Verdict::refuse("the event names no customer");
  const auto result = result_of(event, *data);
  if (!result) {
    // A refund that leaves the order as it is, agreed between staff and customer.
    if (event.type == "payment.refunded") return Verdict::done();
    return Verdict::refuse(std::format("{} is not for this queue", event.type));
  }
  return PaymentFact{.event = event.id,
                     .order = *order,
                     .customer = *customer,
                     .result = *result,
                     .reason = std::move(data->reason),
                     .traceparent = event.trace.valid() ? event.trace.traceparent() : ""};
}

Verdict verdict_on(Effect effect) {
  switch (effect) {
    case Effect::moved:
    case Effect::unchanged:
    case Effect::lost_order:
      return Verdict::done();
  }
  std::unreachable();
}

}  // namespace

Task<std::vector<Verdict>> PaymentResults::handle(Context context, std::vector<Event> events) {
  std::vector<Verdict> verdicts(events.size());
  std::vector<PaymentFact> facts;
  std::vector<std::size_t> positions;
  for (std::size_t i = 0; i < events.size(); ++i) {
    auto reading = read(events[i]);
    if (auto* fact = std::get_if<PaymentFact>(&reading)) {
      facts.push_back(std::move(*fact));
      positions.push_back(i);
    } else {
      verdicts[i] = std::get<Verdict>(std::move(reading));
    }
  }
  if (!facts.empty()) {
    const auto effects = co_await orders_.apply(std::move(context), std::move(facts));
    for (std::size_t i = 0; i < positions.size(); ++i) {
      verdicts[positions[i]] = verdict_on(effects[i]);
    }
  }
  co_return verdicts;
}

}  // namespace stoa::order
