#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>

#include "servicekit/async/context.hpp"
#include "servicekit/async/task.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::runtime {

/// Steps that repeat on one loop until they are stopped: sweeps and purges.
class PeriodicTasks {
 public:
  using Step = std::function<Task<>(Context)>;

  PeriodicTasks(boost::asio::io_context& loop, telemetry::Telemetry& telemetry);
  ~PeriodicTasks();
  PeriodicTasks(const PeriodicTasks&) = delete;
  PeriodicTasks& operator=(const PeriodicTasks&) = delete;

  /// The first turn comes within one period, the others every `period` ± 10 %: replicas that
  /// start together do not sweep together.
  void add(std::string_view name, std::chrono::milliseconds period, Step step);

  /// No new turn begins; waits for the steps in hand.
  Task<> stop();

 private:
  struct Entry;
  using Timer = boost::asio::basic_waitable_timer<
      std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

  Task<> repeat(Entry* entry);
  Task<> turn(Entry* entry);

  boost::asio::io_context& loop_;
  telemetry::Telemetry& telemetry_;
  std::vector<std::unique_ptr<Entry>> entries_;
  Timer ended_;
  std::size_t running_ = 0;
  bool stopping_ = false;
};

}  // namespace stoa::runtime
