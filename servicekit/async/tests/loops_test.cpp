#include "servicekit/async/loops.hpp"

#include <atomic>

#include <gtest/gtest.h>

#include "servicekit/testing/run.hpp"

namespace stoa {
namespace {

Task<std::size_t> which_loop() { co_return Loops::current(); }

TEST(Loops, KnowsWhichLoopRuns) { EXPECT_EQ(testing_support::run(which_loop()), 0U); }

TEST(Loops, RunsATaskOnTheLoopItWasGivenTo) {
  Loops loops{3};
  std::atomic<int> seen{0};
  for (std::size_t i = 0; i < loops.count(); ++i) {
    spawn(loops.at(i), "probe",
          [](Loops& all, std::atomic<int>& count, std::size_t expected) -> Task<> {
            EXPECT_EQ(Loops::current(), expected);
            if (count.fetch_add(1) == 2) all.stop();
            co_return;
          }(loops, seen, i));
  }
  loops.run();
  EXPECT_EQ(seen.load(), 3);
}

TEST(PerLoop, GivesEachLoopItsOwn) {
  Loops loops{2};
  PerLoop<int> numbers{loops, [n = 0](auto&) mutable { return std::make_unique<int>(n++); }};
  EXPECT_EQ(numbers.count(), 2U);
  EXPECT_EQ(numbers.at(1), 1);
}

}  // namespace
}  // namespace stoa
