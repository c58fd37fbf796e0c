#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include <poll.h>

#include "servicekit/async/pacing.hpp"
#include "servicekit/core/type_id.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/messaging/detail/amqp_connection.hpp"
#include "servicekit/messaging/detail/backoff.hpp"
#include "servicekit/messaging/detail/envelope.hpp"
#include "servicekit/messaging/detail/outbox_table.hpp"
#include "servicekit/messaging/detail/read_floor.hpp"
#include "servicekit/messaging/detail/topology.hpp"
#include "servicekit/messaging/detail/wakeup.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/runtime/crash_point.hpp"
#include "servicekit/runtime/mutant.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::messaging {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds reconnect_first{100};
constexpr milliseconds reconnect_max{5'000};
constexpr milliseconds hold_first{250};
constexpr milliseconds hold_max{5'000};
constexpr milliseconds turn_max{500};  // below half a heartbeat
constexpr milliseconds confirm_timeout{10'000};
constexpr milliseconds fill_period{5'000};
// While messages are in flight, commits that follow each other closely share one read.
constexpr milliseconds read_spacing{2};
// What is confirmed waits this long for a read to be deleted with.
constexpr milliseconds forget_spacing{20};
constexpr milliseconds notify_spacing{2};
constexpr milliseconds stop_grace{3'000};
constexpr milliseconds stop_check{5};
constexpr std::size_t batches_in_flight_max = 2;

milliseconds until(Clock::time_point moment) {
  // Rounded up: a poll that returns a moment too early would spin.
  return std::max(milliseconds{0}, std::chrono::ceil<milliseconds>(moment - Clock::now()));
}

}  // namespace

struct OutboxRelay::Impl {
  Impl(BrokerConfig broker, Options options, telemetry::Telemetry& telemetry);
  ~Impl();

  void run();
  void turn();
  void stand_by();
  void connect_broker();
  void relay();
  bool full() const { return in_flight_.size() >= options_.batch_max * batches_in_flight_max; }
  Clock::time_point next_read() const;
  void wait_for_work();
  void read_and_publish();
  void publish(detail::OutboxRow row);
  void settle();
  void hold(const std::string& type, std::string_view why);
  void look_at_held();
  bool has_queues(const std::string& type);
  void refresh_fill();
  void forget_confirmed();
  void drop_broker();
  void rest(milliseconds duration);
  void finish();

  struct InFlight {
    std::int64_t seq = 0;
    std::string type;
  };
  struct Held {
    Clock::time_point until;
    detail::Backoff backoff{hold_first, hold_max};
  };

  BrokerConfig broker_config_;
  Options options_;
  telemetry::Telemetry& telemetry_;
  telemetry::Gauge active_gauge_;
  telemetry::Gauge connected_;
  telemetry::Gauge rows_gauge_;
  telemetry::Gauge age_gauge_;
  telemetry::Gauge held_gauge_;
  telemetry::Counter published_;
  telemetry::Counter returned_;
  detail::Wakeup wakeup_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> finished_{false};
  std::atomic<bool> accepting_{true};

  // Of the relay's thread alone.
  std::optional<detail::OutboxTable> table_;
  std::optional<detail::AmqpConnection> broker_;
  bool active_ = false;
  bool woken_ = false;
  bool more_ = false;  // the last read was full
  std::unordered_map<std::uint64_t, InFlight> in_flight_;
  std::vector<std::int64_t> confirmed_;  // their numbers in the outbox
  std::map<std::string, Held> held_;
  Pacing pacing_;
  detail::ReadFloor floor_;
  milliseconds poll_;
  Clock::time_point last_read_{};
  Clock::time_point fill_due_{};
  std::size_t next_address_ = 0;
  detail::Backoff backoff_{reconnect_first, reconnect_max};
  std::thread thread_;
};

OutboxRelay::Impl::Impl(BrokerConfig broker, Options options, telemetry::Telemetry& telemetry)
    : broker_config_{std::move(broker)},
      options_{std::move(options)},
      telemetry_{telemetry},
      active_gauge_{telemetry.gauge("stoa_outbox_active", "1 in the process that relays")},
      connected_{telemetry.gauge("stoa_outbox_broker_connected", "1 while it can publish")},
      rows_gauge_{telemetry.gauge("stoa_outbox_rows", "Facts that are not published yet")},
      age_gauge_{telemetry.gauge("stoa_outbox_oldest_age_seconds", "Age of the oldest of them")},
      held_gauge_{telemetry.gauge("stoa_outbox_held_types", "Event types without their queues")},
      published_{telemetry.counter("stoa_outbox_published_total", "Facts confirmed by the broker")},
      returned_{telemetry.counter("stoa_outbox_returned_total", "Facts the broker did not take")},
      poll_{options_.poll_min} {}

OutboxRelay::Impl::~Impl() {
  stopping_.store(true);
  wakeup_.signal();
  if (thread_.joinable()) thread_.join();
}

void OutboxRelay::Impl::run() {
  while (!stopping_.load()) {
    try {
      turn();
      continue;
    } catch (const detail::OutboxUnavailable& failure) {
      telemetry_.warn("outbox_database_lost", {{"detail", failure.what()}});
      drop_broker();
      // With the connection went the lock: whatever was confirmed is published again by whoever
      // is active next, and absorbed by the inboxes.
      table_.reset();
      confirmed_.clear();
      active_ = false;
      active_gauge_.set(0);
    } catch (const Unavailable& failure) {
      telemetry_.warn("outbox_broker_lost", {{"detail", failure.what()}});
      drop_broker();
    }
    rest(backoff_.next());
  }
  finish();
  finished_.store(true);
}

void OutboxRelay::Impl::turn() {
  if (!table_) table_.emplace(options_.dsn, options_.service);
  refresh_fill();
  if (!active_ && !table_->try_lock()) return stand_by();
  if (!active_) {
    active_ = true;
    active_gauge_.set(1);
    telemetry_.info("outbox_active");
  }
  if (!broker_) connect_broker();
  relay();
}

// Another process relays: hand on our wake-ups, and see once in a while whether it still does.
void OutboxRelay::Impl::stand_by() {
  const auto look_again = Clock::now() + options_.poll_max;
  backoff_.reset();
  while (!stopping_.load() && Clock::now() < look_again) {
    rest(until(look_again));
    if (!std::exchange(woken_, false)) continue;
    table_->notify();
    rest(notify_spacing);
  }
}

void OutboxRelay::Impl::connect_broker() {
  broker_.emplace(broker_config_, next_address_++, options_.service + " outbox relay");
  connected_.set(1);
  backoff_.reset();
  woken_ = true;
  held_.clear();
  for (const auto& route : topology::routes) {
    if (route.publisher != options_.service || held_.contains(std::string{route.type})) continue;
    if (!has_queues(std::string{route.type})) hold(std::string{route.type}, "a queue is missing");
  }
}

void OutboxRelay::Impl::drop_broker() {
  broker_.reset();
  in_flight_.clear();
  floor_.reset();
  connected_.set(0);
}

void OutboxRelay::Impl::relay() {
  look_at_held();
  if (Clock::now() >= next_read()) read_and_publish();
  wait_for_work();
  if (wakeup_.drain()) woken_ = true;
  if (table_->take_notification()) woken_ = true;
  settle();
  if (Clock::now() - confirm_timeout > broker_->oldest_unsettled()) {
    throw Unavailable{"the broker does not confirm"};
  }
}

Clock::time_point OutboxRelay::Impl::next_read() const {
  if (full()) return Clock::time_point::max() - turn_max;
  const auto soonest = in_flight_.empty() ? last_read_ : last_read_ + read_spacing;
  if (more_) return soonest;
  if (woken_) return std::max(soonest, pacing_.next());
  return last_read_ + (confirmed_.empty() ? poll_ : std::min(poll_, forget_spacing));
}

// Nothing that happens brings a read forward that only waits for its time: this thread sleeps then,
// and takes everything that came meanwhile at once.
void OutboxRelay::Impl::wait_for_work() {
  const auto timeout = std::min(turn_max, until(next_read()));
  if ((woken_ || more_) && !full()) {
    std::this_thread::sleep_for(timeout);
    return broker_->dispatch();
  }
  broker_->wait({wakeup_.fd(), table_->fd()}, timeout);
}

void OutboxRelay::Impl::read_and_publish() {
  detail::OutboxTable::Wanted wanted{.forget = confirmed_,
                                     .above = floor_.above(Clock::now()),
                                     .in_flight = {},
                                     .held = {},
                                     .count_max = options_.batch_max};
  for (const auto& [sequence, item] : in_flight_) {
    if (item.seq > wanted.above) wanted.in_flight.push_back(item.seq);
  }
  for (const auto& [type, held] : held_) wanted.held.push_back(type);
  const bool asked = std::exchange(woken_, false) || !confirmed_.empty();
  if (!confirmed_.empty()) runtime::crash_point("outbox.before_delete");
  auto rows = table_->forget_and_read(wanted);
  if (!confirmed_.empty()) runtime::crash_point("outbox.after_delete");
  confirmed_.clear();

  last_read_ = Clock::now();
  pacing_.begin(last_read_, rows.size());
  floor_.read_up_to(rows.empty() ? 0 : rows.back().seq, last_read_);
  more_ = rows.size() == options_.batch_max;
  if (!rows.empty() || asked) {
    poll_ = options_.poll_min;
  } else {
    poll_ = std::min(poll_ * 2, options_.poll_max);
  }
  if (rows.empty()) return;
  if (runtime::mutant<"outbox.delete_before_confirm">()) table_->forget(rows);
  runtime::crash_point("outbox.before_publish");
  broker_->hold_back(true);
  for (auto& row : rows) publish(std::move(row));
  broker_->hold_back(false);
  runtime::crash_point("outbox.after_publish");
}

void OutboxRelay::Impl::publish(detail::OutboxRow row) {
  const auto parent = TraceContext::parse(row.traceparent).value_or(TraceContext{});
  const auto span = telemetry_.span(parent, "publish " + row.type, telemetry::SpanKind::producer);
  Event event{.id = row.id,
              .source = options_.service,
              .type = row.type,
              .version = detail::envelope_version,
              .subject = std::move(row.subject),
              .aggregate_version = row.aggregate_version,
              .time = row.written,
              .data = std::move(row.data),
              .trace = span.context()};
  const auto sequence = broker_->publish({.exchange = std::string{topology::events_exchange},
                                          .routing_key = row.type,
                                          .message_id = EventId{row.id}.str(),
                                          .type = row.type,
                                          .body = detail::write_envelope(event)});
  in_flight_.emplace(sequence, InFlight{.seq = row.seq, .type = std::move(row.type)});
}

void OutboxRelay::Impl::settle() {
  const auto settled = broker_->take_settled();
  if (settled.empty()) return;
  for (const detail::Settled& item : settled) {
    const auto found = in_flight_.find(item.sequence);
    if (found == in_flight_.end()) continue;
    switch (item.outcome) {
      case detail::Settled::Outcome::confirmed:
        confirmed_.push_back(found->second.seq);
        published_.add();
        break;
      case detail::Settled::Outcome::returned:
        returned_.add();
        hold(found->second.type, "no queue takes it");
        break;
      case detail::Settled::Outcome::refused:
        returned_.add();
        hold(found->second.type, "a queue refused it");
        break;
    }
    in_flight_.erase(found);
  }
  if (!confirmed_.empty()) runtime::crash_point("outbox.after_confirm");
}

// Rows of a held type wait where they are; those of other types pass them.
void OutboxRelay::Impl::hold(const std::string& type, std::string_view why) {
  const auto [held, first] = held_.try_emplace(type);
  if (first) telemetry_.error("outbox_held", {{"type", type}, {"detail", why}});
  held->second.until = Clock::now() + held->second.backoff.next();
  held_gauge_.set(static_cast<double>(held_.size()));
}

void OutboxRelay::Impl::look_at_held() {
  const auto now = Clock::now();
  for (auto item = held_.begin(); item != held_.end();) {
    if (now < item->second.until) {
      ++item;
    } else if (has_queues(item->first)) {
      telemetry_.info("outbox_released", {{"type", item->first}});
      item = held_.erase(item);
      floor_.reset();
      woken_ = true;
    } else {
      item->second.until = now + item->second.backoff.next();
      ++item;
    }
  }
  held_gauge_.set(static_cast<double>(held_.size()));
}

bool OutboxRelay::Impl::has_queues(const std::string& type) {
  return std::ranges::all_of(topology::routes, [&](const topology::Route& route) {
    return route.type != type || broker_->queue_exists(std::string{route.queue});
  });
}

void OutboxRelay::Impl::refresh_fill() {
  if (Clock::now() < fill_due_) return;
  fill_due_ = Clock::now() + fill_period;
  const auto fill = table_->fill(options_.rows_max + 1);
  rows_gauge_.set(static_cast<double>(fill.rows));
  age_gauge_.set(std::chrono::duration<double>(fill.oldest_age).count());
  accepting_.store(fill.rows <= options_.rows_max && fill.oldest_age <= options_.age_max);
}

void OutboxRelay::Impl::rest(milliseconds duration) {
  pollfd wake{.fd = wakeup_.fd(), .events = POLLIN, .revents = 0};
  ::poll(&wake, 1, static_cast<int>(duration.count()));
  if (wakeup_.drain()) woken_ = true;
}

// What is in flight is settled and forgotten, so that a stop publishes nothing twice.
void OutboxRelay::Impl::finish() {
  if (!table_ || !broker_ || !active_) return;
  try {
    broker_->settle(stop_grace);
    settle();
    table_->forget_and_read({.forget = confirmed_, .in_flight = {}, .held = {}});
  } catch (const Unavailable& failure) {
    telemetry_.warn("outbox_stopped_early", {{"detail", failure.what()}});
  }
}

OutboxRelay::OutboxRelay(BrokerConfig broker, Options options, telemetry::Telemetry& telemetry)
    : impl_{std::make_unique<Impl>(std::move(broker), std::move(options), telemetry)} {}

OutboxRelay::~OutboxRelay() = default;

void OutboxRelay::start() {
  impl_->thread_ = std::thread{[this] { impl_->run(); }};
}

void OutboxRelay::wake() { impl_->wakeup_.signal(); }

bool OutboxRelay::accepting() const { return impl_->accepting_.load(std::memory_order_relaxed); }

Task<> OutboxRelay::stop() {
  if (!impl_->thread_.joinable()) co_return;
  impl_->stopping_.store(true);
  impl_->wakeup_.signal();
  while (!impl_->finished_.load()) co_await sleep_for(stop_check);
  impl_->thread_.join();
}

}  // namespace stoa::messaging
