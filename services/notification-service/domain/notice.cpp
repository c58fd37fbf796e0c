#include "services/notification-service/domain/notice.hpp"

#include <algorithm>
#include <array>

namespace stoa::notification {
namespace {

using std::chrono::seconds;

constexpr std::array kinds{NoticeKind::user_registered, NoticeKind::order_paid,
                           NoticeKind::order_cancelled, NoticeKind::payment_failed,
                           NoticeKind::payment_refunded};
constexpr std::array delays{seconds{1},   seconds{5},     seconds{30},    seconds{120},
                            seconds{600}, seconds{3'600}, seconds{14'400}};
constexpr std::size_t address_length_max = 254;  // RFC 5321 section 4.5.3.1.3, without <>
constexpr std::string_view address_special = "<>()[],;:\\\"";

}  // namespace

std::string_view name(NoticeKind kind) {
  switch (kind) {
    case NoticeKind::user_registered:
      return "user_registered";
    case NoticeKind::order_paid:
      return "order_paid";
    case NoticeKind::order_cancelled:
      return "order_cancelled";
    case NoticeKind::payment_failed:
      return "payment_failed";
    case NoticeKind::payment_refunded:
      return "payment_refunded";
  }
  return "";
}

std::optional<NoticeKind> parse_notice_kind(std::string_view text) {
  const auto found = std::ranges::find(kinds, text, [](NoticeKind kind) { return name(kind); });
  if (found == kinds.end()) return std::nullopt;
  return *found;
}

std::optional<seconds> retry_delay(int failures) {
  const auto index = static_cast<std::size_t>(std::max(failures, 1) - 1);
  if (index >= delays.size()) return std::nullopt;
  return delays[index];
}

std::string message_id(DeliveryId delivery, std::string_view domain) {
  std::string id = "<" + delivery.str();
  id += '@';
  id += domain;
  id += '>';
  return id;
}

bool is_mail_address(std::string_view text) {
  const auto at = text.find('@');
  if (at == std::string_view::npos || at == 0 || at + 1 == text.size()) return false;
  if (text.find('@', at + 1) != std::string_view::npos) return false;
  return text.size() <= address_length_max && std::ranges::all_of(text, [](char c) {
           return c > ' ' && c < '\x7f' && address_special.find(c) == std::string_view::npos;
         });
}

}  // namespace stoa::notification
