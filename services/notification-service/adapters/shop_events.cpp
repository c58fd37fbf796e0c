#include "services/notification-service/adapters/shop_events.hpp"

#include <array>
#include <format>
#include <optional>
#include <string_view>
#include <utility>

#include "servicekit/crypto/crypto.hpp"

#include "services/notification-service/adapters/notice_json.hpp"

namespace stoa::notification {
namespace {

using messaging::Event;
using messaging::Verdict;

struct Mailed {
  std::string_view type;
  NoticeKind kind;
};
constexpr std::array mailed{
    Mailed{"user.registered", NoticeKind::user_registered},
    Mailed{"order.paid", NoticeKind::order_paid},
    Mailed{"order.cancelled", NoticeKind::order_cancelled},
    Mailed{"order.payment_failed", NoticeKind::payment_failed},
    Mailed{"payment.refunded", NoticeKind::payment_refunded},
};

std::optional<NoticeKind> kind_of(std::string_view type) {
  for (const Mailed& entry : mailed) {
    if (entry.type == type) return entry.kind;
  }
  return std::nullopt;
}

}  // namespace

Verdict ShopEvents::sort(const Event& event, std::vector<Notice>& notices,
                         std::vector<Erasure>& erasures) const {
  if (event.type == "user.deleted") {
    const auto user = parse_user(event.data);
    if (!user) return Verdict::refuse(user.error());
    erasures.push_back({.event = {event.id}, .user = *user});
    return Verdict::done();
  }
  const auto kind = kind_of(event.type);
  if (!kind) return Verdict::refuse(std::format("{} does not belong here", event.type));
  auto addressee = parse_addressee(*kind, event.data);
  if (!addressee) return Verdict::refuse(addressee.error());
  const DeliveryId delivery{crypto::new_uuid()};
  notices.push_back({.event = {event.id},
                     .delivery = delivery,
                     .user = addressee->user,
                     .subject = std::move(addressee->subject),
                     .kind = *kind,
                     .content = event.data,
                     .message_id = message_id(delivery, mail_domain_),
                     .traceparent = event.trace.valid() ? event.trace.traceparent() : ""});
  return Verdict::done();
}

Task<std::vector<Verdict>> ShopEvents::handle(Context context, std::vector<Event> events) {
  std::vector<Verdict> verdicts;
  verdicts.reserve(events.size());
  std::vector<Notice> notices;
  std::vector<Erasure> erasures;
  for (const Event& event : events) verdicts.push_back(sort(event, notices, erasures));
  co_await deliveries_.accept(std::move(context), std::move(notices), std::move(erasures));
  co_return verdicts;
}

}  // namespace stoa::notification
