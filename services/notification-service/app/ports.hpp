#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "servicekit/async/context.hpp"
#include "servicekit/async/task.hpp"
#include "servicekit/core/type_id.hpp"

#include "services/notification-service/domain/notice.hpp"

// What the use cases need from outside the process.
namespace stoa::notification {

/// A fact that is worth a mail.
struct Notice {
  EventId event;
  DeliveryId delivery;  ///< of the row, should this be the first for (subject, kind)
  UserId user;
  std::string subject;  ///< ord_…, rfd_… or usr_…
  NoticeKind kind{};
  std::string content;     ///< the event's data: JSON
  std::string message_id;  ///< of the mail
  std::string traceparent;
};

/// A user who is to be forgotten.
struct Erasure {
  EventId event;
  UserId user;
};

/// A mail to be sent, claimed by this process until its lease ends.
struct Delivery {
  DeliveryId id;
  UserId user;
  std::string subject;
  NoticeKind kind{};
  std::string content;
  std::string message_id;
  TraceContext trace{};
  int failures = 0;  ///< refusals so far
};

/// Deliveries that the caller takes for itself: nobody else gets them before `lease` is over.
struct Claim {
  std::size_t count_max = 0;
  std::chrono::milliseconds lease{};
};

/// All throw Unavailable when the store cannot answer in time.
class DeliveryStore {
 public:
  virtual ~DeliveryStore() = default;

  /// In one transaction: an open delivery for each notice whose (subject, kind) has none, and
  /// nothing left to read or to send of the users to forget. An event that was accepted before
  /// changes nothing. The new deliveries among the first `claim.count_max` notices are claimed and
  /// returned, in any order; the others are due at once.
  virtual Task<std::vector<Delivery>> accept(Context context, std::vector<Notice> notices,
                                             std::vector<Erasure> erasures, Claim claim) = 0;

  /// The open deliveries that are due longest.
  virtual Task<std::vector<Delivery>> claim(Context context, Claim claim) = 0;

  /// These four change open deliveries, and no others.
  virtual Task<> mark_sent(Context context, std::vector<DeliveryId> ids) = 0;
  /// The user is erased: no mail, and nothing left to read.
  virtual Task<> suppress(Context context, DeliveryId id) = 0;
  /// Gives up, and tells notification.failed.
  virtual Task<> fail(Context context, Delivery delivery, std::string reason) = 0;
  struct Postponement {
    std::chrono::milliseconds delay{};
    int refusals = 0;  ///< to add: 1 when the mail was refused, 0 when nobody could be asked
    std::string reason;
  };
  virtual Task<> postpone(Context context, DeliveryId id, Postponement postponement) = 0;
};

/// How a user is reached. Never stored.
struct Contact {
  std::string email;
  std::string name;
};

class Contacts {
 public:
  virtual ~Contacts() = default;
  /// Empty when the user is erased. Throws Unavailable when user-service cannot answer in time.
  virtual Task<std::optional<Contact>> find(Context context, UserId user) = 0;
};

struct Mail {
  std::string message_id;
  Contact to;
  std::string subject;
  std::string text;
  std::string html;
  TraceContext trace{};
};

/// What the mail server said.
struct MailOutcome {
  enum class Kind : std::uint8_t {
    sent,
    refused_for_now,  ///< 4yz
    refused,          ///< 5yz, or an address that no server takes
  };
  Kind kind = Kind::sent;
  std::string detail{};  ///< for the delivery log; never holds the address
};

class Mailer {
 public:
  virtual ~Mailer() = default;
  /// Throws Unavailable when the server cannot be reached or falls silent; the mail may then have
  /// been taken.
  virtual Task<MailOutcome> send(Context context, Mail mail) = 0;
};

}  // namespace stoa::notification
