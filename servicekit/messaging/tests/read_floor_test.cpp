#include "servicekit/messaging/detail/read_floor.hpp"

#include <gtest/gtest.h>

namespace stoa::messaging::detail {
namespace {

using std::chrono::milliseconds;

const ReadFloor::Clock::time_point noon{std::chrono::hours{12}};

TEST(ReadFloor, TheFirstReadIsWhole) { EXPECT_EQ(ReadFloor{}.above(noon), 0); }

TEST(ReadFloor, StaysBelowWhatWasReadAMomentAgo) {
  ReadFloor floor;
  floor.above(noon);
  floor.read_up_to(100, noon);
  floor.read_up_to(200, noon + milliseconds{100});
  EXPECT_EQ(floor.above(noon + milliseconds{200}), 0);

  floor.read_up_to(300, noon + ReadFloor::late_max);
  EXPECT_EQ(floor.above(noon + ReadFloor::late_max), 0);
}

TEST(ReadFloor, RisesToWhatWasReadLongAgo) {
  ReadFloor floor;
  floor.above(noon);
  floor.read_up_to(100, noon);
  floor.read_up_to(200, noon + ReadFloor::late_max);
  floor.read_up_to(300, noon + 2 * ReadFloor::late_max);

  EXPECT_EQ(floor.above(noon + 2 * ReadFloor::late_max), 100);
}

TEST(ReadFloor, LooksBelowItselfEveryNowAndThen) {
  ReadFloor floor;
  floor.above(noon);
  for (int i = 1; i <= 4; ++i) floor.read_up_to(i, noon + i * ReadFloor::late_max);
  ASSERT_EQ(floor.above(noon + ReadFloor::whole_every - milliseconds{1}), 2);

  EXPECT_EQ(floor.above(noon + ReadFloor::whole_every), 0);
  EXPECT_EQ(floor.above(noon + ReadFloor::whole_every + milliseconds{1}), 2);
}

TEST(ReadFloor, BeginsAnewWhenWhatWasReadMustBeReadAgain) {
  ReadFloor floor;
  floor.above(noon);
  for (int i = 1; i <= 3; ++i) floor.read_up_to(i, noon + i * ReadFloor::late_max);
  floor.reset();

  EXPECT_EQ(floor.above(noon + milliseconds{900}), 0);
  floor.read_up_to(9, noon + milliseconds{900});
  EXPECT_EQ(floor.above(noon + milliseconds{950}), 0);
}

}  // namespace
}  // namespace stoa::messaging::detail
