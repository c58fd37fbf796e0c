#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "servicekit/async/if_available.hpp"
#include "servicekit/core/unavailable.hpp"

#include "tests/simulation/chance.hpp"
#include "tests/simulation/engine.hpp"

namespace stoa::simulation {

/// What was broken, and how it shows.
struct Violation {
  std::string invariant;
  std::string detail;
};

/// The machine room: processes that live, die and call each other, with all that goes wrong.
class Room {
 public:
  explicit Room(const Schedule& schedule) : schedule_{schedule}, chance_{schedule} {}

  Engine& engine() { return engine_; }
  Chance& chance() { return chance_; }
  bool has(Defect defect) const { return schedule_.defect == defect; }
  const Schedule& schedule() const { return schedule_; }

  /// Something durable changed: the invariants are to be looked at.
  void changed() { changed_ = true; }
  bool take_changed() { return std::exchange(changed_, false); }
  /// The first one stands.
  void violated(std::string invariant, std::string detail);
  const std::optional<Violation>& violation() const { return violation_; }

  /// A process that can be started again calls `start` when it lives and `die` when it is killed.
  struct Life {
    std::function<void()> start;
    std::function<void()> die;
  };
  ProcessId add(Life life);
  std::size_t process_count() const { return processes_.size(); }
  void start(ProcessId process) { processes_[process].life.start(); }
  bool alive(ProcessId process) const { return processes_[process].alive; }
  /// kill -9, and back after a while.
  void kill(ProcessId process);
  /// The same, from inside of a coroutine of the process, which goes no further.
  Task<> die(ProcessId process);
  /// Asks another process and waits for its answer. Throws Unavailable when none comes in time:
  /// then the request may have been done, may be done later, or never.
  template <class T>
  Task<T> call(ProcessId from, ProcessId to, std::function<Task<T>()> handle);

 private:
  template <class T>
  struct Reply {
    Engine::Token token;
    std::optional<T> value{};
  };
  template <class T>
  using ReplyPointer = std::shared_ptr<Reply<T>>;  // of caller, callee and network: who is last

  struct Process {
    Life life;
    bool alive = true;
    std::uint64_t lives = 0;
  };

  template <class T>
  void arrive(ProcessId to, ReplyPointer<T> reply, std::function<Task<T>()> handle);
  template <class T>
  static Task<> serve(Room* room, ReplyPointer<T> reply, std::function<Task<T>()> handle);

  milliseconds hop();

  Engine engine_;
  const Schedule& schedule_;
  Chance chance_;
  std::vector<Process> processes_;
  bool changed_ = false;
  std::optional<Violation> violation_;
};

inline constexpr milliseconds call_timeout{3'000};

template <class T>
Task<T> Room::call(ProcessId from, ProcessId to, std::function<Task<T>()> handle) {
  auto reply = std::make_shared<Reply<T>>(Reply<T>{.token = engine_.new_token()});
  const bool lost = chance_.strikes(Fault::lost_request);
  const bool late = chance_.strikes(Fault::slow_request);
  milliseconds way = hop();
  if (late) way += chance_.between(Stream::faults, call_timeout, 3 * call_timeout);
  if (!lost) {
    engine_.after(way,
                  [this, to, reply, handle = std::move(handle)] { arrive<T>(to, reply, handle); });
  }
  const Engine::Token token = reply->token;
  engine_.after(call_timeout, [this, token] { engine_.wake(token); });
  co_await engine_.park(from, token);
  if (!reply->value) throw Unavailable{"no answer"};
  co_return std::move(*reply->value);
}

template <class T>
void Room::arrive(ProcessId to, ReplyPointer<T> reply, std::function<Task<T>()> handle) {
  if (!alive(to)) {
    const Engine::Token token = reply->token;
    engine_.after(hop(), [this, token] { engine_.wake(token); });
    return;
  }
  if (engine_.frozen(to)) {
    engine_.after(engine_.thaws_in(to),
                  [this, to, reply, handle = std::move(handle)] { arrive<T>(to, reply, handle); });
    return;
  }
  engine_.spawn("serve", serve<T>(this, std::move(reply), std::move(handle)));
}

// An Unavailable inside is a 503 outside.
template <class T>
Task<> Room::serve(Room* room, ReplyPointer<T> reply, std::function<Task<T>()> handle) {
  auto value = co_await if_available(handle());
  if (room->chance_.strikes(Fault::lost_answer)) co_return;
  room->engine_.after(room->hop(), [room, reply, value = std::move(value)]() mutable {
    reply->value = std::move(value);
    room->engine_.wake(reply->token);
  });
}

/// The way of one replica to the database of its service. A transaction is what happens between
/// go() and back(); either may throw Unavailable, and the process may die in either.
class Line {
 public:
  Line(Room& room, ProcessId process, const milliseconds& away_until)
      : room_{room}, process_{process}, away_until_{away_until} {}

  Task<> go();
  Task<> back();
  ProcessId process() const { return process_; }

 private:
  Room& room_;
  ProcessId process_;
  const milliseconds& away_until_;
};

}  // namespace stoa::simulation
