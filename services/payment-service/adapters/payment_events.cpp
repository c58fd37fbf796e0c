#include "services/payment-service/adapters/payment_events.hpp"

#include <optional>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/json/json.hpp"
#include "servicekit/json/money.hpp"

namespace stoa::payment {
namespace {

struct CapturedJson {
  std::string payment_id;
  std::string order_id;
  std::string customer_id;
  json::MoneyJson amount;
};

struct DeclinedJson {
  std::string payment_id;
  std::string order_id;
  std::string customer_id;
  std::string reason;
};

struct VoidedJson {
  std::string order_id;
  std::string customer_id;
};

struct RefundedJson {
  std::string refund_id;
  std::string payment_id;
  std::string order_id;
  std::string customer_id;
  json::MoneyJson amount;
  bool closes_order = false;
};

struct MethodJson {
  std::string token;
};

struct PlacedJson {
  std::string order_id;
  std::string customer_id;
  json::MoneyJson amount;
  MethodJson payment_method;
};

struct CancelJson {
  std::string order_id;
  std::string customer_id;
};

json::MoneyJson money_json(const Payment& payment, std::int64_t minor) {
  require(payment.amount.has_value(), "only a payment with an amount tells of money");
  return json::to_json(Money{minor, payment.amount->currency()});
}

struct Parties {
  OrderId order;
  UserId customer;
};

Result<Parties> parties(std::string_view order_text, std::string_view customer_text) {
  const auto order = OrderId::parse(order_text);
  const auto customer = UserId::parse(customer_text);
  if (!order || !customer) {
    return refuse(ErrorKind::invalid, "invalid_body", "order_id or customer_id is no such id");
  }
  return Parties{.order = *order, .customer = *customer};
}

}  // namespace

OutgoingEvent event_of(const Payment& payment, const Happening& happening) {
  const std::string order = payment.order.str();
  const std::string customer = payment.customer.str();
  switch (happening.kind) {
    case Happening::Kind::captured:
      return {"payment.captured",
              json::write(CapturedJson{payment.id.str(), order, customer,
                                       money_json(payment, happening.amount_minor)})};
    case Happening::Kind::declined:
      return {"payment.declined",
              json::write(DeclinedJson{payment.id.str(), order, customer, happening.reason})};
    case Happening::Kind::voided:
      return {"payment.voided", json::write(VoidedJson{order, customer})};
    case Happening::Kind::refunded:
      require(happening.refund.has_value(), "a refund has an id");
      return {"payment.refunded",
              json::write(RefundedJson{happening.refund->str(), payment.id.str(), order, customer,
                                       money_json(payment, happening.amount_minor),
                                       happening.closes_order})};
  }
  std::unreachable();
}

OutgoingEvent event_of(const Charge& charge, const ChargeOutcome& outcome) {
  const Payment payment{.id = charge.payment,
                        .order = charge.order,
                        .customer = charge.customer,
                        .amount = charge.amount};
  const Change change = settle_charge(payment, outcome);
  return event_of(change.payment, change.happenings.front());
}

Result<PlacedData> parse_order_placed(std::string_view data) {
  auto body = json::read_lenient<PlacedJson>(data);
  if (!body) return std::unexpected(body.error());
  const auto who = parties(body->order_id, body->customer_id);
  if (!who) return std::unexpected(who.error());
  const auto amount = json::to_money(body->amount, "/amount");
  if (!amount) return std::unexpected(amount.error());
  if (amount->minor_units() <= 0) {
    return refuse(ErrorKind::invalid, "invalid_body", "an order is paid with a positive amount");
  }
  return PlacedData{.order = who->order,
                    .customer = who->customer,
                    .amount = *amount,
                    .token = std::move(body->payment_method.token)};
}

Result<CancelData> parse_cancel_requested(std::string_view data) {
  const auto body = json::read_lenient<CancelJson>(data);
  if (!body) return std::unexpected(body.error());
  const auto who = parties(body->order_id, body->customer_id);
  if (!who) return std::unexpected(who.error());
  return CancelData{.order = who->order, .customer = who->customer};
}

}  // namespace stoa::payment
