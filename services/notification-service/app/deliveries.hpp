#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
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
/// whoever claims it, most often by who wrote it, in the same statement. Lives on loop 0.
class Deliveries {
 public:
  struct Limits {
    std::size_t in_flight_max = 4;
    /// Claimed and waiting for their turn.
    std::size_t waiting_max = 32;
    /// Longer than waiting for a turn and an attempt take together: what has waited for longer than
    /// `lease` less `attempt_timeout` is left to its row.
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

  /// Waits on the store, not on any mail. Sends what it accepts, as far as there is room.
  Task<> accept(Context context, std::vector<Notice> notices, std::vector<Erasure> erasures);

  /// Starts what is due, as far as limits and the world allow. Called by the sweep and by itself.
  Task<> send_due(Context context);

  /// Claims and starts nothing more; waits for what is in flight, at most `timeout`.
  Task<> stop(std::chrono::milliseconds timeout);

 private:
  struct Waiting {
    Delivery delivery;
    std::chrono::steady_clock::time_point start_by;
  };

  bool may_start() const;
  Claim room() const;
  void take(std::vector<Delivery> claimed, std::chrono::steady_clock::time_point asked);
  void start_waiting();
  void look_for_more();
  Task<> pump();
  Task<> deliver(Delivery delivery);
  Task<std::optional<MailOutcome>> attempt(Context context, Delivery delivery);
  void record_sent(Delivery delivery);
  Task<> record_all_sent();
  Task<> record_unsent(Delivery delivery, std::optional<MailOutcome> outcome);
  Task<> record_unreachable(Delivery delivery);
  Task<bool> keep_trying(std::function<Task<>(Context)> write) const;
  Task<> suppress(Context context, Delivery delivery);
  Task<> record_refusal(Context context, Delivery delivery, MailOutcome outcome);
  void pause();

  Loops& loops_;
  DeliveryStore& store_;
  Contacts& contacts_;
  Mailer& mailer_;
  Sources sources_;
  Limits limits_;
  std::deque<Waiting> waiting_;
  std::vector<Delivery> sent_;  ///< whose rows do not say so yet
  std::size_t in_flight_ = 0;   ///< being sent
  std::size_t unrecorded_ = 0;  ///< in sent_, or in the statement on its way
  bool recording_ = false;
  bool pumping_ = false;
  bool again_ = false;
  bool more_due_ = false;  ///< the store has more than there was room for
  bool stopping_ = false;
  std::chrono::steady_clock::time_point paused_until_{};
  std::chrono::milliseconds pause_{};
};

}  // namespace stoa::notification
