#pragma once

#include <string>
#include <vector>

#include "servicekit/messaging/messaging.hpp"

#include "services/notification-service/app/deliveries.hpp"

namespace stoa::notification {

/// What the other services tell us: the queue notification-service.events.
class ShopEvents {
 public:
  /// `mail_domain`: of Message-IDs.
  ShopEvents(Deliveries& deliveries, std::string mail_domain)
      : deliveries_{deliveries}, mail_domain_{std::move(mail_domain)} {}

  /// One transaction for the batch; mails are sent after the ack.
  Task<std::vector<messaging::Verdict>> handle(Context context,
                                               std::vector<messaging::Event> events);

 private:
  messaging::Verdict sort(const messaging::Event& event, std::vector<Notice>& notices,
                          std::vector<Erasure>& erasures) const;

  Deliveries& deliveries_;
  std::string mail_domain_;
};

}  // namespace stoa::notification
