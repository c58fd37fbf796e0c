#include "services/user-service/domain/session.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "services/user-service/domain/signing_key.hpp"

namespace stoa::user {
namespace {

using namespace std::chrono_literals;

struct RefreshCase {
  const char* what;
  PresentedToken token;
  RefreshVerdict verdict;
};

TEST(JudgeRefresh, TellsTwinsFromThieves) {
  const std::vector<RefreshCase> cases{
      {"the live token", {.rotated = true}, RefreshVerdict::rotated},
      {"a twin that lost the race", {}, RefreshVerdict::repeated},
      {"a lost answer", {.since_replaced = 9s}, RefreshVerdict::repeated},
      {"at the end of the grace", {.since_replaced = 10s}, RefreshVerdict::repeated},
      {"after the grace", {.since_replaced = 10'001ms}, RefreshVerdict::reused},
      {"its successor was used",
       {.since_replaced = 1s, .successor_used = true},
       RefreshVerdict::reused},
      {"a session that ended", {.ended = true}, RefreshVerdict::over},
      {"a copy from a session that ended",
       {.ended = true, .since_replaced = 1h},
       RefreshVerdict::over},
      {"a session nobody came back to", {.expired = true}, RefreshVerdict::over},
  };
  for (const auto& [what, token, verdict] : cases) EXPECT_EQ(judge(token), verdict) << what;
}

TEST(LockedFor, DoublesUpToAQuarterOfAnHour) {
  EXPECT_EQ(locked_for({.count = 0}), 0s);
  EXPECT_EQ(locked_for({.count = 9, .since_last = 0ms}), 0s);
  EXPECT_EQ(locked_for({.count = 10, .since_last = 0ms}), 60s);
  EXPECT_EQ(locked_for({.count = 10, .since_last = 59'001ms}), 1s);
  EXPECT_EQ(locked_for({.count = 10, .since_last = 60s}), 0s);
  EXPECT_EQ(locked_for({.count = 11, .since_last = 0ms}), 120s);
  EXPECT_EQ(locked_for({.count = 13, .since_last = 0ms}), 480s);
  EXPECT_EQ(locked_for({.count = 14, .since_last = 0ms}), 900s);
  EXPECT_EQ(locked_for({.count = 1'000'000'000'000, .since_last = 0ms}), 900s);
  EXPECT_EQ(locked_for({.count = 50, .since_last = 25h}), 0s);
}

constexpr Instant noon{std::chrono::hours{12}};

TEST(SigningKey, IsTheLastThatMaySign) {
  EXPECT_EQ(signing_key({noon}, noon), 0U);
  EXPECT_EQ(signing_key({noon + 1h}, noon), 0U) << "better early than none";
  EXPECT_EQ(signing_key({noon - 1h, noon + 1s}, noon), 0U);
  EXPECT_EQ(signing_key({noon - 1h, noon}, noon), 1U);
  EXPECT_EQ(signing_key({noon - 2h, noon - 1h, noon + 1h}, noon), 1U);
}

TEST(SigningKey, IsPublishedBeforeItSignsAndUntilItsTokensAreDead) {
  const std::vector<Instant> dates{noon, noon + 1h};
  EXPECT_TRUE(is_published(dates, 0, noon));
  EXPECT_TRUE(is_published(dates, 1, noon)) << "before it signs";
  EXPECT_TRUE(is_published(dates, 0, noon + 1h + 19min));
  EXPECT_FALSE(is_published(dates, 0, noon + 1h + 20min));
  EXPECT_TRUE(is_published(dates, 1, noon + 100h));
  EXPECT_GT(key_overlap, access_token_lifetime + 1min);
}

}  // namespace
}  // namespace stoa::user
