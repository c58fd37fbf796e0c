#include "servicekit/async/pacing.hpp"

#include <gtest/gtest.h>

namespace stoa {
namespace {

using std::chrono::milliseconds;

const Pacing::Clock::time_point noon{std::chrono::hours{12}};

TEST(Pacing, TheFirstBatchBeginsAtOnce) { EXPECT_LE(Pacing{}.next(), noon); }

TEST(Pacing, AFewAreNotKeptWaiting) {
  for (std::size_t count = 0; count < Pacing::company_min; ++count) {
    Pacing pacing;
    pacing.begin(noon, count);
    EXPECT_EQ(pacing.left(noon), milliseconds{0}) << count;
  }
}

TEST(Pacing, CompanyIsWaitedForUntilTheMomentEnds) {
  Pacing pacing;
  pacing.begin(noon, Pacing::company_min);
  EXPECT_EQ(pacing.next(), noon + Pacing::gathering);
  EXPECT_EQ(pacing.left(noon + std::chrono::microseconds{1}), Pacing::gathering);
  EXPECT_EQ(pacing.left(noon + Pacing::gathering), milliseconds{0});
}

TEST(Pacing, OneByOneAreCompanyToo) {
  Pacing pacing;
  for (std::size_t i = 1; i < Pacing::company_min; ++i) {
    pacing.begin(noon + milliseconds{i}, 1);
    EXPECT_EQ(pacing.left(noon + milliseconds{i}), milliseconds{0}) << i;
  }
  pacing.begin(noon + milliseconds{5}, 1);
  EXPECT_EQ(pacing.next(), noon + milliseconds{1} + Pacing::gathering);
}

TEST(Pacing, WhoComesInTheNextMomentIsCountedAnew) {
  Pacing pacing;
  pacing.begin(noon, Pacing::company_min);
  pacing.begin(noon + Pacing::gathering, 1);
  EXPECT_EQ(pacing.left(noon + Pacing::gathering), milliseconds{0});
}

}  // namespace
}  // namespace stoa
