#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <poll.h>

#include "servicekit/async/pacing.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/messaging/detail/amqp_connection.hpp"
#include "servicekit/messaging/detail/backoff.hpp"
#include "servicekit/messaging/detail/batch_runner.hpp"
#include "servicekit/messaging/detail/envelope.hpp"
#include "servicekit/messaging/detail/retry_route.hpp"
#include "servicekit/messaging/detail/wakeup.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/runtime/crash_point.hpp"
#include "servicekit/runtime/mutant.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::messaging {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds reconnect_first{100};
constexpr milliseconds reconnect_max{5'000};
// Well below half a heartbeat: rabbitmq-c sends its own only when it is called.
constexpr milliseconds turn_max{500};
// How long what arrives beside a batch may stay in the socket.
constexpr milliseconds unread_max{50};
constexpr milliseconds confirm_timeout{10'000};
constexpr milliseconds stop_grace{8'000};
constexpr milliseconds stop_check{5};

Instant now() {
  return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
}

bool acks_first() { return runtime::mutant<"consumer.ack_before_commit">(); }

// What the broker's thread and the loop share. Owned by both, because a batch may outlive its
// consumer when the process ends in the middle of it.
struct Shared {
  detail::Wakeup wakeup;
  std::atomic<bool> stopping{false};
  std::atomic<bool> finished{false};
  std::atomic<std::uint64_t> session{0};  // of the connection that is up; a batch belongs to one
  std::mutex mutex;
  std::optional<detail::BatchRunner::Verdicts> outcome;  // of the batch on the loop
};

struct InHand {
  detail::Delivery delivery;
  std::optional<Verdict> verdict;  // known at once when the envelope cannot be read
};

Task<> run_batch(std::shared_ptr<Shared> shared, std::shared_ptr<detail::BatchRunner> runner,
                 std::vector<Event> events, std::uint64_t session) {
  std::function<bool()> abandoned = [shared, session] {
    return shared->stopping.load() || shared->session.load() != session;
  };
  auto verdicts = co_await runner->run(std::move(events), std::move(abandoned));
  {
    const std::lock_guard lock{shared->mutex};
    shared->outcome.emplace(std::move(verdicts));
  }
  shared->wakeup.signal();
}

}  // namespace

struct Consumer::Impl {
  Impl(Loops& loops, BrokerConfig broker, Options options, BatchHandler handler,
       telemetry::Telemetry& telemetry);
  ~Impl();

  void run();
  void serve_session(detail::Backoff& backoff);
  bool await_queue(detail::AmqpConnection& connection);
  void turn(detail::AmqpConnection& connection);
  void wait_for_work(detail::AmqpConnection& connection);
  bool batch_is_ready(detail::AmqpConnection& connection) const;
  void hand_over(detail::AmqpConnection& connection);
  void take_outcome(detail::AmqpConnection& connection);
  void finish(detail::AmqpConnection& connection);
  void reroute(detail::AmqpConnection& connection, const InHand& item);
  void drain(detail::AmqpConnection& connection);
  void rest(milliseconds duration);

  Loops& loops_;
  BrokerConfig broker_;
  Options options_;
  telemetry::Telemetry& telemetry_;
  telemetry::Gauge connected_;
  telemetry::Gauge queue_missing_;
  telemetry::Gauge lag_;
  telemetry::Counter done_;
  telemetry::Counter waited_;
  telemetry::Counter refused_;
  telemetry::Counter dead_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::shared_ptr<detail::BatchRunner> runner_;

  // Of the broker's thread alone.
  std::vector<InHand> batch_;
  Pacing pacing_;
  bool busy_ = false;  // a batch is on the loop
  std::uint64_t batch_session_ = 0;
  std::size_t next_address_ = 0;
  std::thread thread_;
};

Consumer::Impl::Impl(Loops& loops, BrokerConfig broker, Options options, BatchHandler handler,
                     telemetry::Telemetry& telemetry)
    : loops_{loops},
      broker_{std::move(broker)},
      options_{std::move(options)},
      telemetry_{telemetry} {
  const auto events = [&](std::string outcome) {
    return telemetry.counter("stoa_consumer_events_total", "Events by what became of them",
                             {{"queue", options_.queue}, {"outcome", std::move(outcome)}});
  };
  const telemetry::Labels labels{{"queue", options_.queue}};
  connected_ = telemetry.gauge("stoa_consumer_connected", "1 while the broker delivers", labels);
  queue_missing_ = telemetry.gauge("stoa_consumer_queue_missing",
                                   "1 while the queue does not exist: load the topology", labels);
  lag_ = telemetry.gauge("stoa_consumer_lag_seconds", "Age of the event taken last", labels);
  done_ = events("done");
  waited_ = events("wait");
  refused_ = events("refuse");
  dead_ = events("dead");
  runner_ = std::make_shared<detail::BatchRunner>(options_, std::move(handler), telemetry);
}

Consumer::Impl::~Impl() {
  shared_->stopping.store(true);
  shared_->wakeup.signal();
  if (thread_.joinable()) thread_.join();
}

void Consumer::Impl::run() {
  detail::Backoff backoff{reconnect_first, reconnect_max};
  while (!shared_->stopping.load()) {
    try {
      serve_session(backoff);
    } catch (const Unavailable& failure) {
      telemetry_.warn("consumer_disconnected",
                      {{"queue", options_.queue}, {"detail", failure.what()}});
    }
    connected_.set(0);
    // A paused batch of the lost connection gives up: its messages come again.
    shared_->session.fetch_add(1);
    if (!shared_->stopping.load()) rest(backoff.next());
  }
  shared_->finished.store(true);
}

void Consumer::Impl::rest(milliseconds duration) {
  pollfd wake{.fd = shared_->wakeup.fd(), .events = POLLIN, .revents = 0};
  ::poll(&wake, 1, static_cast<int>(duration.count()));
  shared_->wakeup.drain();
}

void Consumer::Impl::serve_session(detail::Backoff& backoff) {
  detail::AmqpConnection connection{broker_, next_address_++, options_.queue};
  if (!await_queue(connection)) return;
  connection.consume(options_.queue, options_.prefetch);
  connected_.set(1);
  telemetry_.info("consumer_connected", {{"queue", options_.queue}});
  backoff.reset();
  while (!shared_->stopping.load()) turn(connection);
  drain(connection);
}

// A missing queue is the operator's to make: a queue of ours would be bound too late.
bool Consumer::Impl::await_queue(detail::AmqpConnection& connection) {
  detail::Backoff backoff{reconnect_first, reconnect_max};
  bool said = false;
  while (!connection.queue_exists(options_.queue)) {
    if (!said) telemetry_.error("consumer_queue_missing", {{"queue", options_.queue}});
    said = true;
    queue_missing_.set(1);
    const auto until = std::chrono::steady_clock::now() + backoff.next();
    while (std::chrono::steady_clock::now() < until) {
      if (shared_->stopping.load()) return false;
      connection.wait({shared_->wakeup.fd()}, turn_max / 10);
    }
  }
  queue_missing_.set(0);
  return true;
}

void Consumer::Impl::turn(detail::AmqpConnection& connection) {
  wait_for_work(connection);
  take_outcome(connection);
  if (batch_is_ready(connection)) hand_over(connection);
}

// While a batch is on the loop, or gathers, a message more changes nothing: those that come are
// read from the socket together.
void Consumer::Impl::wait_for_work(detail::AmqpConnection& connection) {
  if (!busy_ && connection.deliveries().empty()) {
    connection.wait({shared_->wakeup.fd()}, turn_max);
    shared_->wakeup.drain();
    return;
  }
  rest(busy_ ? unread_max : pacing_.left(Pacing::Clock::now()));
  connection.dispatch();
}

bool Consumer::Impl::batch_is_ready(detail::AmqpConnection& connection) const {
  const std::size_t waiting = connection.deliveries().size();
  if (busy_ || waiting == 0) return false;
  return waiting >= options_.batch_max || Pacing::Clock::now() >= pacing_.next();
}

void Consumer::Impl::hand_over(detail::AmqpConnection& connection) {
  auto& deliveries = connection.deliveries();
  std::vector<Event> events;
  batch_.clear();
  while (!deliveries.empty() && batch_.size() < options_.batch_max) {
    auto event = detail::read_envelope(deliveries.front().body);
    // Published twice and here twice: a handler's one statement would see neither copy as claimed.
    if (event && std::ranges::contains(events, event->id, &Event::id)) break;
    InHand item{.delivery = std::move(deliveries.front()), .verdict = std::nullopt};
    deliveries.pop_front();
    if (event) {
      events.push_back(std::move(*event));
    } else {
      item.verdict = Verdict::refuse(event.error());
    }
    batch_.push_back(std::move(item));
  }
  pacing_.begin(Pacing::Clock::now(), batch_.size());
  batch_session_ = shared_->session.load();
  if (events.empty()) return finish(connection);
  lag_.set(std::chrono::duration<double>(now() - events.back().time).count());
  busy_ = true;
  if (acks_first()) connection.ack(batch_.back().delivery.tag, true);
  spawn(loops_.at(0), "consumer " + options_.queue,
        run_batch(shared_, runner_, std::move(events), batch_session_));
}

void Consumer::Impl::take_outcome(detail::AmqpConnection& connection) {
  std::optional<detail::BatchRunner::Verdicts> outcome;
  {
    const std::lock_guard lock{shared_->mutex};
    outcome.swap(shared_->outcome);
  }
  if (!outcome) return;
  busy_ = false;
  // Given up, or of a connection that is gone: the broker delivers them again.
  if (!*outcome || batch_session_ != shared_->session.load()) return;
  auto verdict = (*outcome)->begin();
  for (InHand& item : batch_) {
    if (!item.verdict) item.verdict = std::move(*verdict++);
  }
  finish(connection);
}

void Consumer::Impl::finish(detail::AmqpConnection& connection) {
  std::size_t rerouted = 0;
  for (const InHand& item : batch_) {
    if (item.verdict->kind == Verdict::Kind::done) continue;
    reroute(connection, item);
    ++rerouted;
  }
  if (rerouted > 0) {
    runtime::crash_point("consumer.before_reroute_confirm");
    connection.settle(confirm_timeout);
    for (const detail::Settled& settled : connection.take_settled()) {
      if (settled.outcome != detail::Settled::Outcome::confirmed) {
        throw Unavailable{"a retry queue of " + options_.queue + " does not take the message"};
      }
    }
  }
  runtime::crash_point("consumer.before_ack");
  if (!acks_first()) connection.ack(batch_.back().delivery.tag, true);
  runtime::crash_point("consumer.after_ack");
  done_.add(batch_.size() - rerouted);
  batch_.clear();
}

void Consumer::Impl::reroute(detail::AmqpConnection& connection, const InHand& item) {
  const auto where = detail::reroute(options_.queue, item.delivery, *item.verdict, now());
  connection.publish(where.publication);
  const bool waits = item.verdict->kind == Verdict::Kind::wait;
  (where.dead ? dead_ : waits ? waited_ : refused_).add();
  if (where.dead) {
    telemetry_.error("consumer_dead_letter", {{"queue", options_.queue},
                                              {"event_id", item.delivery.message_id},
                                              {"detail", item.verdict->reason}});
  } else if (!waits) {
    telemetry_.warn("consumer_refused", {{"queue", options_.queue},
                                         {"event_id", item.delivery.message_id},
                                         {"detail", item.verdict->reason}});
  }
}

void Consumer::Impl::drain(detail::AmqpConnection& connection) {
  connection.cancel();
  const auto deadline = std::chrono::steady_clock::now() + stop_grace;
  while (busy_ && std::chrono::steady_clock::now() < deadline) {
    connection.wait({shared_->wakeup.fd()}, turn_max);
    shared_->wakeup.drain();
    take_outcome(connection);
  }
}

Verdict Verdict::refuse(const Error& why) {
  std::string reason = why.detail;
  for (const FieldError& field : why.fields) {
    reason.append("; ").append(field.pointer).append(" ").append(field.code);
  }
  return refuse(std::move(reason));
}

Consumer::Consumer(Loops& loops, BrokerConfig broker, Options options, BatchHandler handler,
                   telemetry::Telemetry& telemetry)
    : impl_{std::make_unique<Impl>(loops, std::move(broker), std::move(options), std::move(handler),
                                   telemetry)} {}

Consumer::~Consumer() = default;

void Consumer::start() {
  impl_->thread_ = std::thread{[this] { impl_->run(); }};
}

Task<> Consumer::stop() {
  if (!impl_->thread_.joinable()) co_return;
  impl_->shared_->stopping.store(true);
  impl_->shared_->wakeup.signal();
  while (!impl_->shared_->finished.load()) co_await sleep_for(stop_check);
  impl_->thread_.join();
}

}  // namespace stoa::messaging
