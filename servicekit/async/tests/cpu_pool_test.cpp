#include "servicekit/async/cpu_pool.hpp"

#include <latch>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include "servicekit/testing/run.hpp"

namespace stoa {
namespace {

Task<std::thread::id> thread_of(CpuPool& pool) {
  co_return co_await pool.run([] { return std::this_thread::get_id(); });
}

TEST(CpuPool, RunsElsewhereAndComesBack) {
  Loops loops{1};
  CpuPool pool{{.threads = 1, .queue_max = 1}};
  EXPECT_NE(testing_support::run_on(loops, thread_of(pool)), std::this_thread::get_id());
}

Task<int> failing(CpuPool& pool) {
  co_return co_await pool.run([]() -> int { throw std::runtime_error{"no"}; });
}

TEST(CpuPool, RethrowsWhatTheWorkThrows) {
  Loops loops{1};
  CpuPool pool{{.threads = 1, .queue_max = 1}};
  EXPECT_THROW(testing_support::run_on(loops, failing(pool)), std::runtime_error);
}

TEST(CpuPool, RefusesBeyondItsQueue) {
  Loops loops{1};
  CpuPool pool{{.threads = 1, .queue_max = 1}};
  std::latch let_go{1};
  spawn(loops.at(0), "occupy", [](CpuPool& p, std::latch& latch) -> Task<> {
    co_await p.run([&latch] {
      latch.wait();
      return 0;
    });
  }(pool, let_go));
  const auto refused = [](CpuPool& p, std::latch& latch) -> Task<bool> {
    bool full = false;
    try {
      co_await p.run([] { return 0; });
    } catch (const Unavailable&) {
      full = true;
    }
    latch.count_down();
    co_return full;
  };
  EXPECT_TRUE(testing_support::run_on(loops, refused(pool, let_go)));
}

}  // namespace
}  // namespace stoa
