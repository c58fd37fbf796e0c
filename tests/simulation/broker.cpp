#include "tests/simulation/broker.hpp"

#include <algorithm>
#include <format>
#include <set>
#include <utility>

namespace stoa::simulation {
namespace {

constexpr std::size_t batch_max = 4;
constexpr milliseconds delivery_min{1};
constexpr milliseconds delivery_max{120};
constexpr milliseconds nobody_there{300};
constexpr milliseconds world_failed_pause{400};
constexpr milliseconds waits_for_predecessor{2'000};
constexpr milliseconds relay_poll{1'000};

std::vector<Queue> queues_of(EventType type) {
  switch (type) {
    case EventType::order_placed:
      return {Queue::order_placed};
    case EventType::order_cancel_requested:
      return {Queue::cancel_requested};
    case EventType::order_paid:
    case EventType::order_payment_failed:
    case EventType::order_cancelled:
      return {Queue::order_settled};
    case EventType::payment_captured:
    case EventType::payment_declined:
    case EventType::payment_voided:
    case EventType::payment_refunded:
      return {Queue::payment_results};
  }
  std::unreachable();
}

}  // namespace

void Broker::publish(const Event& event) {
  for (const Queue queue : queues_of(event.type)) enqueue(queue, event);
}

void Broker::enqueue(Queue queue, const Event& event) {
  const MessageId id = ++made_;
  messages_.emplace(id, Message{.queue = queue, .event = event});
  deliver_after(milliseconds{0}, id);
  if (room_.chance().strikes(Fault::repeated)) deliver_after(delivery_max, id);
}

void Broker::deliver_after(milliseconds delay, MessageId message) {
  delay += room_.chance().between(Stream::network, delivery_min, delivery_max);
  room_.engine().after(delay, [this, message] { deliver(message); });
}

Broker::Subscriber* Broker::anybody(Queue queue) {
  std::vector<Subscriber*> of_queue;
  for (const auto& subscriber : subscribers_) {
    if (subscriber->queue == queue) of_queue.push_back(subscriber.get());
  }
  if (of_queue.empty()) return nullptr;
  return of_queue[room_.chance().below(Stream::network, of_queue.size())];
}

void Broker::deliver(MessageId message) {
  const auto found = messages_.find(message);
  if (found == messages_.end()) return;
  Subscriber* subscriber = anybody(found->second.queue);
  if (away() || subscriber == nullptr) {
    deliver_after(nobody_there, message);
    return;
  }
  found->second.holder = subscriber->process;
  subscriber->waiting.push_back({.message = message, .event = found->second.event});
  if (subscriber->working) return;
  subscriber->working = true;
  room_.engine().spawn("consume", work(this, subscriber));
}

// One batch after the other; while one is in hand the next gathers.
Task<> Broker::work(Broker* broker, Subscriber* subscriber) {
  Room& room = broker->room_;
  const auto gather = room.chance().between(Stream::network, delivery_min, delivery_max);
  co_await room.engine().pause(subscriber->process, gather);
  while (!subscriber->waiting.empty()) {
    std::vector<Delivery> batch;
    std::vector<Event> events;
    while (batch.size() < batch_max && !subscriber->waiting.empty()) {
      batch.push_back(std::move(subscriber->waiting.front()));
      subscriber->waiting.pop_front();
      events.push_back(batch.back().event);
      const bool early = room.has(Defect::ack_before_commit);
      if (early) broker->messages_.erase(batch.back().message);
    }
    const auto verdicts = co_await if_available(subscriber->handle(std::move(events)));
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (verdicts) {
        broker->settle(batch[i], (*verdicts)[i]);
      } else {
        broker->deliver_after(world_failed_pause, batch[i].message);
      }
    }
  }
  subscriber->working = false;
}

void Broker::settle(const Delivery& delivery, Verdict verdict) {
  switch (verdict) {
    case Verdict::done:
      if (room_.chance().strikes(Fault::lost_ack)) {
        deliver_after(world_failed_pause, delivery.message);
      } else {
        messages_.erase(delivery.message);
      }
      return;
    case Verdict::wait:
      deliver_after(waits_for_predecessor, delivery.message);
      return;
    case Verdict::refuse:
      room_.violated("dead letters",
                     std::format("an event of {} cannot be done", delivery.event.order.str()));
      return;
  }
  std::unreachable();
}

void Broker::subscribe(Queue queue, ProcessId process, Handler handler) {
  subscribers_.push_back(std::make_unique<Subscriber>(
      Subscriber{.queue = queue, .process = process, .handle = std::move(handler)}));
}

void Broker::unsubscribe(ProcessId process) {
  std::erase_if(subscribers_, [&](const auto& each) { return each->process == process; });
  for (auto& [id, message] : messages_) {
    if (message.holder != process) continue;
    message.holder.reset();
    deliver_after(nobody_there, id);
  }
}

void Outbox::add(Room& room, Event event, milliseconds clock) {
  rows_.push_back({.event = std::move(event), .since = clock});
  if (!lock_ || !sleepers_.contains(*lock_)) return;
  const Engine::Token token = sleepers_.at(*lock_);
  room.engine().after(milliseconds{1}, [&room, token] { room.engine().wake(token); });
}

bool Outbox::holds(const Uuid& event) const {
  return std::ranges::contains(rows_, event, [](const Row& row) { return row.event.id; });
}

Task<> Outbox::relay(Room* room, Outbox* outbox, Broker* broker, Line* line) {
  const ProcessId process = line->process();
  for (;;) {
    const Engine::Token token = room->engine().new_token();
    outbox->sleepers_[process] = token;
    room->engine().after(relay_poll, [room, token] { room->engine().wake(token); });
    co_await room->engine().park(process, token);
    const bool others = outbox->lock_ && *outbox->lock_ != process && room->alive(*outbox->lock_);
    if (others) continue;
    outbox->lock_ = process;
    bool more = true;
    while (more && !outbox->rows_.empty() && !broker->away()) {
      more = co_await if_available(outbox->publish_batch(room, broker, line));
    }
  }
}

Task<> Outbox::publish_batch(Room* room, Broker* broker, Line* line) {
  const bool deletes_early = room->has(Defect::relay_deletes_before_confirm);
  std::vector<Event> batch;
  for (const Row& row : rows_) {
    if (batch.size() < batch_max) batch.push_back(row.event);
  }
  std::set<Uuid> confirmed;
  const auto forget = [&] {
    std::erase_if(rows_, [&](const Row& row) { return confirmed.contains(row.event.id); });
  };
  if (deletes_early) {
    for (const Event& event : batch) confirmed.insert(event.id);
    co_await line->go();
    forget();
    co_await line->back();
  }
  for (const Event& event : batch) {
    const auto hop = room->chance().between(Stream::network, delivery_min, delivery_max / 8);
    co_await room->engine().pause(line->process(), hop);
    if (broker->away()) break;
    broker->publish(event);
    if (!room->chance().strikes(Fault::lost_confirm)) confirmed.insert(event.id);
  }
  if (deletes_early) co_return;
  co_await line->go();
  forget();
  co_await line->back();
}

}  // namespace stoa::simulation
