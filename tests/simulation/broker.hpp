#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "servicekit/core/money.hpp"
#include "servicekit/core/type_id.hpp"

#include "tests/simulation/room.hpp"

namespace stoa::simulation {

enum class EventType : std::uint8_t {
  order_placed,
  order_cancel_requested,
  order_paid,
  order_payment_failed,
  order_cancelled,
  payment_captured,
  payment_declined,
  payment_voided,
  payment_refunded,
};

/// A fact on its way; each type uses the members that its schema in contracts/events has.
struct Event {
  Uuid id{};
  EventType type{};
  OrderId order{};
  UserId customer{};
  std::optional<Money> amount{};
  std::string token{};
  ReservationId reservation{};
  std::string reason{};
  bool closes_order = false;
};

enum class Queue : std::uint8_t { order_placed, cancel_requested, payment_results, order_settled };

/// What a consumer makes of a message (servicekit/messaging).
enum class Verdict : std::uint8_t { done, wait, refuse };

/// Durable queues that deliver at least once, in no particular order.
class Broker {
 public:
  using Handler = std::function<Task<std::vector<Verdict>>(std::vector<Event>)>;

  explicit Broker(Room& room) : room_{room} {}

  bool away() const { return room_.engine().now() < away_until_; }
  void go_away(milliseconds duration) { away_until_ = room_.engine().now() + duration; }

  /// Into every queue that the event is bound to. Only while it is not away.
  void publish(const Event& event);

  void subscribe(Queue queue, ProcessId process, Handler handler);
  /// Its connection broke: what it held is delivered again. After Engine::kill().
  void unsubscribe(ProcessId process);

  bool empty() const { return messages_.empty(); }
  std::size_t size() const { return messages_.size(); }

 private:
  using MessageId = std::uint64_t;
  struct Message {
    Queue queue{};
    Event event;
    std::optional<ProcessId> holder{};
  };
  struct Delivery {
    MessageId message = 0;
    Event event;
  };
  struct Subscriber {
    Queue queue{};
    ProcessId process = 0;
    Handler handle;
    std::deque<Delivery> waiting{};
    bool working = false;
  };

  void enqueue(Queue queue, const Event& event);
  void deliver_after(milliseconds delay, MessageId message);
  void deliver(MessageId message);
  Subscriber* anybody(Queue queue);
  static Task<> work(Broker* broker, Subscriber* subscriber);
  void settle(const Delivery& delivery, Verdict verdict);

  Room& room_;
  std::map<MessageId, Message> messages_;
  MessageId made_ = 0;
  std::vector<std::unique_ptr<Subscriber>> subscribers_;
  milliseconds away_until_{0};
};

/// Events that were stored with the state that they tell and wait to be published.
class Outbox {
 public:
  struct Row {
    Event event;
    milliseconds since;
  };

  void add(Room& room, Event event, milliseconds clock);
  bool holds(const Uuid& event) const;
  const std::deque<Row>& rows() const { return rows_; }

  /// Publishes as `line.process()` while that has the lock, for ever.
  static Task<> relay(Room* room, Outbox* outbox, Broker* broker, Line* line);

 private:
  Task<> publish_batch(Room* room, Broker* broker, Line* line);

  std::deque<Row> rows_;
  std::optional<ProcessId> lock_;
  std::map<ProcessId, Engine::Token> sleepers_;
};

}  // namespace stoa::simulation
