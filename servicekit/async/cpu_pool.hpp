#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "servicekit/async/task.hpp"
#include "servicekit/core/unavailable.hpp"

namespace stoa {

/// Threads for what would block a loop: password hashes, SMTP, name resolution. The queue is
/// bounded: overload is refused, not hoarded. Made after the loops and destroyed before them: a job
/// that ends resumes its caller there.
class CpuPool {
 public:
  struct Limits {
    std::size_t threads = 1;
    std::size_t queue_max = 64;  ///< jobs waiting or running
  };

  explicit CpuPool(Limits limits) : pool_{limits.threads}, queue_max_{limits.queue_max} {}
  CpuPool(const CpuPool&) = delete;
  CpuPool& operator=(const CpuPool&) = delete;
  ~CpuPool() { pool_.join(); }

  /// Runs `work` on a thread of the pool and resumes on the caller's loop. `work` owns what it
  /// uses. Throws Unavailable when the queue is full, and whatever `work` throws.
  template <class Work>
  Task<std::invoke_result_t<Work>> run(Work work) {
    using T = std::invoke_result_t<Work>;
    if (queued_.fetch_add(1) >= queue_max_) {
      queued_.fetch_sub(1);
      throw Unavailable{"the CPU pool's queue is full"};
    }
    // Shared with the pool's thread: should the coroutine be destroyed early, the job still has
    // a place to write to.
    const auto outcome = std::make_shared<Outcome<T>>();
    const boost::asio::use_awaitable_t<Executor> token;
    co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<Executor>, void()>(
        [this, outcome, work = std::move(work)](auto resume) mutable {
          auto loop = boost::asio::get_associated_executor(resume);
          boost::asio::post(pool_,
                            [this, outcome, work = std::move(work), resume = std::move(resume),
                             guard = boost::asio::make_work_guard(loop)]() mutable {
                              try {
                                outcome->value.emplace(work());
                              } catch (...) {
                                outcome->failure = std::current_exception();
                              }
                              queued_.fetch_sub(1);
                              boost::asio::post(guard.get_executor(), std::move(resume));
                            });
        },
        token);
    if (outcome->failure) std::rethrow_exception(outcome->failure);
    co_return std::move(*outcome->value);
  }

  std::size_t queued() const { return queued_.load(); }

 private:
  template <class T>
  struct Outcome {
    std::optional<T> value;
    std::exception_ptr failure;
  };

  boost::asio::thread_pool pool_;
  std::atomic<std::size_t> queued_{0};
  std::size_t queue_max_;
};

}  // namespace stoa
