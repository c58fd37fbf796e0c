#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "servicekit/core/type_id.hpp"

// What customers are told, and how often we try. Pure.
namespace stoa::notification {

/// Why a mail is written. There is at most one for each (subject, kind), the subject being the
/// order, the refund or the user.
enum class NoticeKind : std::uint8_t {
  user_registered,
  order_paid,
  order_cancelled,
  payment_failed,
  payment_refunded,
};

/// As the database, the events and the metrics spell it.
std::string_view name(NoticeKind kind);
std::optional<NoticeKind> parse_notice_kind(std::string_view text);

/// How long to wait after the `failures`-th refusal by a mail server that may change its mind
/// (RFC 5321 section 4.2.1, 4yz); empty: give up. About six hours in all.
std::optional<std::chrono::seconds> retry_delay(int failures);

/// The same for every attempt of one delivery, so that a repeat can be told from a second mail.
std::string message_id(DeliveryId delivery, std::string_view domain);

/// Whether `text` can stand in an SMTP command and a header as it is: printable ASCII without what
/// has a meaning there, one '@' with something on both sides, at most 254 characters.
bool is_mail_address(std::string_view text);

}  // namespace stoa::notification
