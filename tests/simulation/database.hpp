#pragma once

#include <compare>
#include <set>
#include <utility>
#include <vector>

#include "tests/simulation/broker.hpp"

namespace stoa::simulation {

/// What the databases of all services have: a clock of their own, an outbox, an inbox. A method of
/// a database that is built on this is one transaction: all of it happens, or nothing.
class Database {
 public:
  explicit Database(Room& room) : room_{room} {}
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  milliseconds clock() const { return room_.engine().now() + clock_offset_; }
  void jump(milliseconds by) { clock_offset_ += by; }
  const milliseconds& away_until() const { return away_until_; }
  void go_away(milliseconds duration) { away_until_ = room_.engine().now() + duration; }
  Outbox& outbox() { return outbox_; }
  const Outbox& outbox() const { return outbox_; }

  /// Under Defect::outbox_outside_transaction: what was not stored with its state.
  std::vector<Event> take_untold() { return std::exchange(untold_, {}); }
  void store_untold(std::vector<Event> events);

 protected:
  ~Database() = default;

  /// Whether the consumer sees the event for the first time.
  bool claim(Queue consumer, const Uuid& event);
  /// The event changed this database; that it may do once.
  void effect(Queue consumer, const Uuid& event);
  void tell(Event event);

  Room& room_;

 private:
  Outbox outbox_;
  std::set<std::pair<Queue, Uuid>> inbox_;
  std::set<std::pair<Queue, Uuid>> effects_;
  std::vector<Event> untold_;
  milliseconds clock_offset_{0};
  milliseconds away_until_{0};
};

/// Ends a transaction: under Defect::outbox_outside_transaction its events follow in a second one.
Task<> commit(Line* line, Database* database);

}  // namespace stoa::simulation
