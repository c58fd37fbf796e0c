#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "servicekit/async/task.hpp"
#include "servicekit/core/require.hpp"

namespace stoa {

/// The event loops of the process. One loop = one thread = one set of pools; nothing is shared
/// between loops, so nothing on a request's path takes a lock.
class Loops {
 public:
  explicit Loops(std::size_t count);
  Loops(const Loops&) = delete;
  Loops& operator=(const Loops&) = delete;
  ~Loops();

  std::size_t count() const { return loops_.size(); }
  boost::asio::io_context& at(std::size_t index) { return *loops_[index]; }

  /// Runs every loop, the first in the calling thread, until stop(). Rethrows nothing: what
  /// escapes a task is a bug and aborts.
  void run();

  /// From any thread.
  void stop();

  /// The index of the loop whose thread this is. A bug outside of a loop's thread.
  static std::size_t current();

 private:
  std::vector<std::unique_ptr<boost::asio::io_context>> loops_;
  std::vector<boost::asio::executor_work_guard<Executor>> work_;
  std::vector<std::thread> threads_;
};

/// One T for each loop; `local()` is the one of the loop that asks.
template <class T>
class PerLoop {
 public:
  template <class Make>
  PerLoop(Loops& loops, Make make) {
    for (std::size_t i = 0; i < loops.count(); ++i) items_.push_back(make(loops.at(i)));
  }

  T& local() { return *items_[Loops::current()]; }
  T& at(std::size_t index) { return *items_[index]; }
  std::size_t count() const { return items_.size(); }

 private:
  std::vector<std::unique_ptr<T>> items_;
};

/// Starts `task` on `loop` and forgets it. An exception that leaves it is a bug: it is logged with
/// `name` and aborts.
void spawn(boost::asio::io_context& loop, std::string_view name, Task<> task);

/// Waits on the loop of the caller. Not for tests: they wait for conditions.
Task<> sleep_for(std::chrono::milliseconds duration);

}  // namespace stoa
