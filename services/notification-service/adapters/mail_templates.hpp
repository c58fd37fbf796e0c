#pragma once

#include <memory>
#include <string>

#include "services/notification-service/app/deliveries.hpp"

namespace stoa::notification {

/// The mails, compiled in: subject, HTML and text of each kind (mustache). The HTML escapes
/// whatever it is given; text and subject take it without control characters.
class MailTemplates {
 public:
  explicit MailTemplates(std::string shop_name);
  ~MailTemplates();

  /// A bug when the content does not fit the kind: it was checked when it was accepted.
  RenderedMail render(const Delivery& delivery, const Contact& contact);

 private:
  struct Set;
  std::string shop_name_;
  std::unique_ptr<Set> set_;
};

}  // namespace stoa::notification
