#include "services/notification-service/app/deliveries.hpp"

#include <algorithm>
#include <utility>

#include "servicekit/async/if_available.hpp"
#include "servicekit/runtime/mutant.hpp"

namespace stoa::notification {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds store_timeout{3'000};
constexpr milliseconds pause_first{250};
constexpr milliseconds pause_max{5'000};
constexpr milliseconds record_again{200};
constexpr milliseconds stop_check{5};

}  // namespace

Deliveries::Deliveries(Loops& loops, DeliveryStore& store, Contacts& contacts, Mailer& mailer,
                       Sources sources, Limits limits)
    : loops_{loops},
      store_{store},
      contacts_{contacts},
      mailer_{mailer},
      sources_{std::move(sources)},
      limits_{limits} {}

Task<> Deliveries::accept(Context context, std::vector<Notice> notices,
                          std::vector<Erasure> erasures) {
  const auto asked = Clock::now();
  const Claim claim = room();
  if (notices.size() > claim.count_max) more_due_ = true;
  auto claimed =
      co_await store_.accept(std::move(context), std::move(notices), std::move(erasures), claim);
  take(std::move(claimed), asked);
  start_waiting();
}

Task<> Deliveries::send_due(Context) { co_await pump(); }

bool Deliveries::may_start() const {
  // A mail that is out and not yet recorded is one that a crash sends again: there are few of them.
  return !stopping_ && in_flight_ < limits_.in_flight_max &&
         unrecorded_ < 2 * limits_.in_flight_max && Clock::now() >= paused_until_;
}

Claim Deliveries::room() const {
  const bool closed = stopping_ || Clock::now() < paused_until_;
  const std::size_t taken = std::min(waiting_.size(), limits_.waiting_max);
  const bool leases = !runtime::mutant<"notification.lease_off">();
  return {.count_max = closed ? 0 : limits_.waiting_max - taken,
          .lease = leases ? limits_.lease : milliseconds{0}};
}

// `asked`: before the statement that claimed, so that a lease is over later than it is thought to
// be.
void Deliveries::take(std::vector<Delivery> claimed, Clock::time_point asked) {
  const auto start_by = asked + limits_.lease - limits_.attempt_timeout;
  for (Delivery& delivery : claimed) waiting_.push_back({std::move(delivery), start_by});
}

void Deliveries::start_waiting() {
  while (!waiting_.empty() && may_start()) {
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    if (Clock::now() > next.start_by) continue;  // the end of its lease gives it to somebody
    ++in_flight_;
    spawn(loops_.at(0), "delivery", deliver(std::move(next.delivery)));
  }
}

void Deliveries::look_for_more() {
  start_waiting();
  if (more_due_ && waiting_.size() < limits_.in_flight_max) {
    spawn(loops_.at(0), "deliveries", pump());
  }
}

// One at a time: a second call only makes the first look again.
Task<> Deliveries::pump() {
  again_ = true;
  if (std::exchange(pumping_, true)) co_return;
  while (std::exchange(again_, false)) {
    start_waiting();
    const Claim claim = room();
    if (claim.count_max == 0 || !may_start()) break;
    const auto asked = Clock::now();
    auto claiming = store_.claim(Context{}.within(store_timeout), claim);
    auto claimed = co_await if_available(std::move(claiming));
    if (!claimed) break;
    more_due_ = claimed->size() == claim.count_max;
    take(std::move(*claimed), asked);
    start_waiting();
  }
  pumping_ = false;
}

Task<> Deliveries::deliver(Delivery delivery) {
  const Context context = Context{.trace = delivery.trace}.within(limits_.attempt_timeout);
  auto attempting = attempt(context, delivery);
  auto outcome = co_await if_available(std::move(attempting));
  if (outcome) {
    pause_ = {};
    const bool sent = *outcome && (*outcome)->kind == MailOutcome::Kind::sent;
    if (sent) {
      record_sent(std::move(delivery));
    } else {
      co_await record_unsent(std::move(delivery), std::move(*outcome));
    }
  } else {
    pause();
    co_await record_unreachable(delivery);
    sources_.observe(delivery, "unavailable");
  }
  --in_flight_;
  look_for_more();
}

// Empty: the user is erased.
Task<std::optional<MailOutcome>> Deliveries::attempt(Context context, Delivery delivery) {
  const auto contact = co_await contacts_.find(context, delivery.user);
  if (!contact) co_return std::nullopt;
  if (!is_mail_address(contact->email)) {
    co_return MailOutcome{.kind = MailOutcome::Kind::refused,
                          .detail = "the user's address cannot be mailed to"};
  }
  RenderedMail rendered = sources_.render(delivery, *contact);
  Mail mail{.message_id = delivery.message_id,
            .to = *contact,
            .subject = std::move(rendered.subject),
            .text = std::move(rendered.text),
            .html = std::move(rendered.html),
            .trace = delivery.trace};
  MailOutcome outcome = co_await mailer_.send(context, std::move(mail));
  co_return outcome;
}

// One statement for all that went out while the last one was on its way.
void Deliveries::record_sent(Delivery delivery) {
  ++unrecorded_;
  sent_.push_back(std::move(delivery));
  if (!std::exchange(recording_, true)) {
    spawn(loops_.at(0), "mails sent", record_all_sent());
  }
}

Task<> Deliveries::record_all_sent() {
  while (!sent_.empty()) {
    const std::vector<Delivery> batch = std::exchange(sent_, {});
    std::vector<DeliveryId> ids;
    ids.reserve(batch.size());
    for (const Delivery& delivery : batch) ids.push_back(delivery.id);
    const bool recorded = co_await keep_trying(
        [this, ids](Context context) { return store_.mark_sent(std::move(context), ids); });
    unrecorded_ -= batch.size();
    if (recorded) {
      for (const Delivery& delivery : batch) sources_.observe(delivery, "sent");
    }
    look_for_more();
  }
  recording_ = false;
}

// The mail is out: should its row not say so, it is mailed again. So this tries for longer than a
// database needs to come back; nobody can claim the row meanwhile.
Task<bool> Deliveries::keep_trying(std::function<Task<>(Context)> write) const {
  const auto end = Clock::now() + limits_.record_timeout;
  for (;;) {
    auto writing = write(Context{}.within(store_timeout));
    const bool written = co_await if_available(std::move(writing));
    if (written || stopping_ || Clock::now() >= end) co_return written;
    co_await sleep_for(record_again);
  }
}

// Empty: there is nobody to mail to.
Task<> Deliveries::record_unsent(Delivery delivery, std::optional<MailOutcome> outcome) {
  [[maybe_unused]] const bool written = co_await keep_trying(
      [this, delivery = std::move(delivery), outcome = std::move(outcome)](Context context) {
        return outcome ? record_refusal(std::move(context), delivery, *outcome)
                       : suppress(std::move(context), delivery);
      });
}

Task<> Deliveries::suppress(Context context, Delivery delivery) {
  co_await store_.suppress(std::move(context), delivery.id);
  sources_.observe(delivery, "suppressed");
}

Task<> Deliveries::record_refusal(Context context, Delivery delivery, MailOutcome outcome) {
  const auto delay = retry_delay(delivery.failures + 1);
  if (outcome.kind == MailOutcome::Kind::refused_for_now && delay) {
    DeliveryStore::Postponement postponement{
        .delay = *delay, .refusals = 1, .reason = outcome.detail};
    co_await store_.postpone(std::move(context), delivery.id, std::move(postponement));
    sources_.observe(delivery, "refused_for_now");
    co_return;
  }
  co_await store_.fail(std::move(context), delivery, outcome.detail);
  sources_.observe(delivery, "failed");
}

// Nothing is counted: the mail was not at fault. Given back early, or the lease gives it back.
Task<> Deliveries::record_unreachable(Delivery delivery) {
  DeliveryStore::Postponement postponement{
      .delay = pause_, .refusals = 0, .reason = "not reachable"};
  auto postponing =
      store_.postpone(Context{}.within(store_timeout), delivery.id, std::move(postponement));
  [[maybe_unused]] const bool given_back = co_await if_available(std::move(postponing));
}

void Deliveries::pause() {
  pause_ = std::clamp(pause_ * 2, pause_first, pause_max);
  const auto jittered = std::chrono::duration<double, std::milli>(pause_) * sources_.jitter();
  paused_until_ = Clock::now() + std::chrono::duration_cast<milliseconds>(jittered);
}

Task<> Deliveries::stop(milliseconds timeout) {
  stopping_ = true;
  const auto end = Clock::now() + timeout;
  while (in_flight_ + unrecorded_ > 0 && Clock::now() < end) co_await sleep_for(stop_check);
}

}  // namespace stoa::notification
