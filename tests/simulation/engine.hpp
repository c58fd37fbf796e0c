#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "servicekit/async/loops.hpp"

namespace stoa::simulation {

using std::chrono::milliseconds;

/// A process of the simulated machine room: a replica, a client, the provider.
using ProcessId = std::size_t;

/// Virtual time, and the coroutines that wait in it. Everything happens in one thread, one event
/// after the other, in the order of its time and then of its making. A coroutine belongs to a
/// process: kill() drops it where it waits, as kill -9 does.
class Engine {
 public:
  using Action = std::move_only_function<void()>;

  Engine() : loops_{1} {}
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  /// Where production code starts its own coroutines.
  Loops& loops() { return loops_; }
  milliseconds now() const { return now_; }

  /// Happens `delay` from now, whoever is dead by then.
  void after(milliseconds delay, Action action);

  /// Waits as `process`. With its death it never returns.
  Task<> pause(ProcessId process, milliseconds delay);

  /// Waits for wake(token) as `process`.
  using Token = std::uint64_t;
  Token new_token() { return ++tokens_; }
  Task<> park(ProcessId process, Token token);
  /// Nothing when nobody waits for it (any more). Of a frozen process: when it thaws.
  void wake(Token token);

  void spawn(std::string_view name, Task<> task) {
    stoa::spawn(loops_.at(0), name, std::move(task));
  }
  /// Its coroutines are gone when this returns. Not from inside of one of them.
  void kill(ProcessId process);
  void freeze(ProcessId process, milliseconds duration);
  bool frozen(ProcessId process) const;
  /// When a frozen process thaws.
  milliseconds thaws_in(ProcessId process) const;

  /// Lets the next event happen; false when there is none.
  bool step();

 private:
  struct Parked {
    ProcessId process;
    Action resume;
  };

  void run_ready();

  Loops loops_;
  milliseconds now_{0};
  std::uint64_t made_ = 0;
  Token tokens_ = 0;
  std::map<std::pair<milliseconds, std::uint64_t>, Action> events_;
  std::map<Token, Parked> parked_;
  std::map<ProcessId, milliseconds> frozen_until_;
};

}  // namespace stoa::simulation
