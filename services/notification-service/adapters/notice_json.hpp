#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/error.hpp"
#include "servicekit/core/money.hpp"
#include "servicekit/core/type_id.hpp"

#include "services/notification-service/app/ports.hpp"

// The only file that knows the members of the events we hear and tell.
namespace stoa::notification {

/// Who is to be told.
struct Addressee {
  UserId user;
  std::string subject;
};

/// Of an event's data. Errors: malformed_json, invalid_body; whatever the mail of `kind` needs is
/// checked here, so that rendering cannot fail.
Result<Addressee> parse_addressee(NoticeKind kind, std::string_view data);

/// user.registered, user.deleted. Errors: malformed_json, invalid_body.
Result<UserId> parse_user(std::string_view data);

struct OrderLine {
  std::string name;
  std::string sku;
  std::int64_t quantity = 0;
  Money total;
};

/// order.paid, order.cancelled, order.payment_failed.
struct OrderNotice {
  UserId customer;
  std::string order;
  std::string number;
  std::vector<OrderLine> lines;
  Money total;
  std::string reason;
};
Result<OrderNotice> parse_order_notice(std::string_view data);

/// payment.refunded.
struct RefundNotice {
  UserId customer;
  std::string refund;
  std::string order;
  Money amount;
};
Result<RefundNotice> parse_refund_notice(std::string_view data);

/// The data of notification.failed.
std::string notification_failed(const Delivery& delivery);

}  // namespace stoa::notification
