#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "servicekit/async/loops.hpp"

#include "services/notification-service/app/ports.hpp"

namespace stoa::notification {

struct RenderedMail {
  std::string subject;
  std::string text;
  std::string html;
};

/// Mails are driven by their rows: an event is done when its row is committed; the row is sent by
/// whoever claims it. Lives on loop 0.
class Deliveries {
 public:
  struct Limits {
    std::size_t in_flight_max = 4;
    /// Longer than asking for the contact and sending can take together.
    std::chrono::milliseconds lease{20'000};
    std::chrono::milliseconds attempt_timeout{13'000};
    std::chrono::milliseconds record_timeout{30'000};
  };
  using Render = std::function<RenderedMail(const Delivery&, const Contact&)>;
  /// Told of every end: "sent", "suppressed", "failed", "refused_for_now", "unavailable".
  using Observe = std::function<void(const Delivery&, std::string_view outcome)>;
  struct Sources {
    Render render;
    Observe observe;
    std::function<double()> jitter;  ///< between one half and one
  };

  Deliveries(Loops& loops, DeliveryStore& store, Contacts& contacts, Mailer& mailer,
             Sources sources, Limits limits);

  /// Waits on the store, not on any mail.
  Task<> accept(Context context, std::vector<Notice> notices, std::vector<Erasure> erasures);

  /// Starts what is due, as far as limits and the world allow. Called by the sweep and by itself.
  Task<> send_due(Context context);

  /// Claims nothing more; waits for what is in flight, at most `timeout`.
  Task<> stop(std::chrono::milliseconds timeout);

 private:
  void wake();
  Task<> pump();
  Task<> deliver(Delivery delivery);
  Task<std::optional<MailOutcome>> attempt(Context context, Delivery delivery);
  Task<> record(Delivery delivery, std::optional<MailOutcome> outcome);
  Task<> record_unreachable(Delivery delivery);
  Task<> keep_trying(std::function<Task<>(Context)> write) const;
  Task<> record_outcome(Context context, Delivery delivery, std::optional<MailOutcome> outcome);
  void pause();

  Loops& loops_;
  DeliveryStore& store_;
  Contacts& contacts_;
  Mailer& mailer_;
  Sources sources_;
  Limits limits_;
  std::size_t in_flight_ = 0;
  bool pumping_ = false;
  bool again_ = false;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point paused_until_{};
  std::chrono::milliseconds pause_{};
};

}  // namespace stoa::notification
