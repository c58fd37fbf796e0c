#include "servicekit/async/loops.hpp"

#include <exception>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace stoa {
namespace {

constexpr std::size_t no_loop = static_cast<std::size_t>(-1);
// Read only between two suspensions, by code that runs on the loop's own thread.
thread_local std::size_t current_loop = no_loop;

void run_loop(boost::asio::io_context& loop, std::size_t index) {
  const std::size_t outer = std::exchange(current_loop, index);
  loop.run();
  current_loop = outer;
}

}  // namespace

Loops::Loops(std::size_t count) {
  require(count > 0, "a process has at least one loop");
  for (std::size_t i = 0; i < count; ++i) {
    // The hint 1 tells Asio that one thread runs it: no lock in its queue.
    loops_.push_back(std::make_unique<boost::asio::io_context>(1));
    work_.emplace_back(loops_.back()->get_executor());
  }
}

Loops::~Loops() {
  stop();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void Loops::run() {
  for (std::size_t i = 1; i < loops_.size(); ++i) {
    threads_.emplace_back([this, i] { run_loop(*loops_[i], i); });
  }
  run_loop(*loops_[0], 0);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Loops::stop() {
  for (const auto& loop : loops_) loop->stop();
}

std::size_t Loops::current() {
  require(current_loop != no_loop, "this runs on a loop's thread");
  return current_loop;
}

void spawn(boost::asio::io_context& loop, std::string_view name, Task<> task) {
  boost::asio::co_spawn(
      loop, std::move(task), [name = std::string{name}](const std::exception_ptr& failure) {
        if (!failure) return;
        try {
          std::rethrow_exception(failure);
        } catch (const std::exception& error) {
          fail_invariant(name + ": " + error.what(), std::source_location::current());
        }
      });
}

Task<> sleep_for(std::chrono::milliseconds duration) {
  const Executor executor = co_await boost::asio::this_coro::executor;
  using Timer = boost::asio::basic_waitable_timer<
      std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;
  Timer timer{executor};
  timer.expires_after(duration);
  co_await timer.async_wait(boost::asio::use_awaitable_t<Executor>{});
}

}  // namespace stoa
