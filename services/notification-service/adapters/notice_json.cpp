#include "services/notification-service/adapters/notice_json.hpp"

#include <format>
#include <utility>

#include "servicekit/json/json.hpp"
#include "servicekit/json/money.hpp"

namespace stoa::notification {
namespace {

struct UserJson {
  std::string user_id;
};

struct LineJson {
  std::string sku;
  std::string name;
  std::int64_t quantity = 0;
  json::MoneyJson total;
};

struct OrderJson {
  std::string order_id;
  std::string number;
  std::string customer_id;
  std::vector<LineJson> lines;
  json::MoneyJson total;
  std::optional<std::string> reason;
};

struct RefundJson {
  std::string refund_id;
  std::string order_id;
  std::string customer_id;
  json::MoneyJson amount;
};

struct FailedJson {
  std::string delivery_id;
  std::string kind;
  std::string subject;
};

std::unexpected<Error> not_an_id(std::string_view pointer) {
  return refuse(ErrorKind::invalid, "invalid_body", "the event names no user",
                {{.pointer = std::string{pointer}, .code = "wrong_type", .detail = "not an id"}});
}

}  // namespace

Result<UserId> parse_user(std::string_view data) {
  const auto wire = json::read_lenient<UserJson>(data);
  if (!wire) return std::unexpected(wire.error());
  const auto user = UserId::parse(wire->user_id);
  if (!user) return not_an_id("/user_id");
  return *user;
}

Result<OrderNotice> parse_order_notice(std::string_view data) {
  auto wire = json::read_lenient<OrderJson>(data);
  if (!wire) return std::unexpected(wire.error());
  const auto customer = UserId::parse(wire->customer_id);
  if (!customer) return not_an_id("/customer_id");
  const auto total = json::to_money(wire->total, "/total");
  if (!total) return std::unexpected(total.error());
  OrderNotice notice{.customer = *customer,
                     .order = std::move(wire->order_id),
                     .number = std::move(wire->number),
                     .lines = {},
                     .total = *total,
                     .reason = wire->reason.value_or("")};
  for (std::size_t i = 0; i < wire->lines.size(); ++i) {
    LineJson& line = wire->lines[i];
    const auto line_total = json::to_money(line.total, std::format("/lines/{}/total", i));
    if (!line_total) return std::unexpected(line_total.error());
    notice.lines.push_back({.name = std::move(line.name),
                            .sku = std::move(line.sku),
                            .quantity = line.quantity,
                            .total = *line_total});
  }
  return notice;
}

Result<RefundNotice> parse_refund_notice(std::string_view data) {
  auto wire = json::read_lenient<RefundJson>(data);
  if (!wire) return std::unexpected(wire.error());
  const auto customer = UserId::parse(wire->customer_id);
  if (!customer) return not_an_id("/customer_id");
  const auto amount = json::to_money(wire->amount, "/amount");
  if (!amount) return std::unexpected(amount.error());
  return RefundNotice{.customer = *customer,
                      .refund = std::move(wire->refund_id),
                      .order = std::move(wire->order_id),
                      .amount = *amount};
}

Result<Addressee> parse_addressee(NoticeKind kind, std::string_view data) {
  switch (kind) {
    case NoticeKind::user_registered: {
      const auto user = parse_user(data);
      if (!user) return std::unexpected(user.error());
      return Addressee{.user = *user, .subject = user->str()};
    }
    case NoticeKind::order_paid:
    case NoticeKind::order_cancelled:
    case NoticeKind::payment_failed: {
      auto order = parse_order_notice(data);
      if (!order) return std::unexpected(order.error());
      return Addressee{.user = order->customer, .subject = std::move(order->order)};
    }
    case NoticeKind::payment_refunded: {
      auto refund = parse_refund_notice(data);
      if (!refund) return std::unexpected(refund.error());
      return Addressee{.user = refund->customer, .subject = std::move(refund->refund)};
    }
  }
  return not_an_id("");
}

std::string notification_failed(const Delivery& delivery) {
  return json::write(FailedJson{.delivery_id = delivery.id.str(),
                                .kind = std::string{name(delivery.kind)},
                                .subject = delivery.subject});
}

}  // namespace stoa::notification
