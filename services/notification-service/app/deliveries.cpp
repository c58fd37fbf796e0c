#include "services/notification-service/app/deliveries.hpp"

#include <algorithm>
#include <utility>

#include "servicekit/async/if_available.hpp"

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
  const bool any = !notices.empty();
  co_await store_.accept(std::move(context), std::move(notices), std::move(erasures));
  if (any) wake();
}

Task<> Deliveries::send_due(Context) { co_await pump(); }

void Deliveries::wake() { spawn(loops_.at(0), "deliveries", pump()); }

// One at a time: a second call only makes the first look again.
Task<> Deliveries::pump() {
  again_ = true;
  if (std::exchange(pumping_, true)) co_return;
  while (std::exchange(again_, false)) {
    while (!stopping_ && in_flight_ < limits_.in_flight_max && Clock::now() >= paused_until_) {
      auto claiming = store_.claim(Context{}.within(store_timeout),
                                   limits_.in_flight_max - in_flight_, limits_.lease);
      auto claimed = co_await if_available(std::move(claiming));
      if (!claimed || claimed->empty()) break;
      in_flight_ += claimed->size();
      for (Delivery& delivery : *claimed) {
        spawn(loops_.at(0), "delivery", deliver(std::move(delivery)));
      }
    }
  }
  pumping_ = false;
}

Task<> Deliveries::deliver(Delivery delivery) {
  const Context context = Context{.trace = delivery.trace}.within(limits_.attempt_timeout);
  auto attempting = attempt(context, delivery);
  auto outcome = co_await if_available(std::move(attempting));
  if (outcome) {
    pause_ = {};
    co_await record(delivery, std::move(*outcome));
  } else {
    pause();
    co_await record_unreachable(delivery);
    sources_.observe(delivery, "unavailable");
  }
  --in_flight_;
  if (outcome) co_await pump();
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

// The mail is out: should its row not say so, it is mailed again. So this tries for longer than a
// database needs to come back; nobody can claim the row meanwhile.
Task<> Deliveries::keep_trying(std::function<Task<>(Context)> write) const {
  const auto end = Clock::now() + limits_.record_timeout;
  for (;;) {
    auto writing = write(Context{}.within(store_timeout));
    const bool written = co_await if_available(std::move(writing));
    if (written || stopping_ || Clock::now() >= end) co_return;
    co_await sleep_for(record_again);
  }
}

Task<> Deliveries::record(Delivery delivery, std::optional<MailOutcome> outcome) {
  co_await keep_trying(
      [this, delivery = std::move(delivery), outcome = std::move(outcome)](Context context) {
        return record_outcome(std::move(context), delivery, outcome);
      });
}

Task<> Deliveries::record_outcome(Context context, Delivery delivery,
                                  std::optional<MailOutcome> outcome) {
  if (!outcome) {
    co_await store_.suppress(context, delivery.id);
    sources_.observe(delivery, "suppressed");
    co_return;
  }
  const auto delay = retry_delay(delivery.failures + 1);
  switch (outcome->kind) {
    case MailOutcome::Kind::sent:
      co_await store_.mark_sent(context, delivery.id);
      sources_.observe(delivery, "sent");
      co_return;
    case MailOutcome::Kind::refused_for_now:
      if (!delay) break;
      {
        DeliveryStore::Postponement postponement{
            .delay = *delay, .refusals = 1, .reason = outcome->detail};
        co_await store_.postpone(context, delivery.id, std::move(postponement));
      }
      sources_.observe(delivery, "refused_for_now");
      co_return;
    case MailOutcome::Kind::refused:
      break;
  }
  co_await store_.fail(context, delivery, outcome->detail);
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
  while (in_flight_ > 0 && Clock::now() < end) co_await sleep_for(stop_check);
}

}  // namespace stoa::notification
