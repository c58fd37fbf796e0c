#include "services/order-service/adapters/order_events.hpp"

#include <utility>

#include "servicekit/json/json.hpp"
#include "servicekit/json/money.hpp"

namespace stoa::order {
namespace {

struct PaymentMethodJson {
  std::string token;
};

struct OrderPlacedJson {
  std::string order_id;
  std::string number;
  std::string customer_id;
  json::MoneyJson amount;
  PaymentMethodJson payment_method;
};

struct CancelRequestedJson {
  std::string order_id;
  std::string customer_id;
  std::string reason;
};

}  // namespace

std::string_view event_type(Status status) {
  switch (status) {
    case Status::pending:
      return "order.placed";
    case Status::paid:
      return "order.paid";
    case Status::payment_failed:
      return "order.payment_failed";
    case Status::cancelling:
      return "order.cancel_requested";
    case Status::cancelled:
      return "order.cancelled";
  }
  std::unreachable();
}

std::string order_placed(const Order& order, std::string_view payment_token) {
  return json::write(OrderPlacedJson{.order_id = order.id.str(),
                                     .number = text(order.number),
                                     .customer_id = order.customer.str(),
                                     .amount = json::to_json(order.amounts.total),
                                     .payment_method = {.token = std::string{payment_token}}});
}

std::string cancel_requested(OrderId id, UserId customer, std::string_view reason) {
  return json::write(CancelRequestedJson{
      .order_id = id.str(), .customer_id = customer.str(), .reason = std::string{reason}});
}

}  // namespace stoa::order
