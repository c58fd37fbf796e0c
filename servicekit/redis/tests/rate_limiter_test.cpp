#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "servicekit/async/loops.hpp"
#include "servicekit/redis/redis.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/private_redis.hpp"
#include "servicekit/testing/run.hpp"

namespace stoa::redis {
namespace {

using namespace std::chrono_literals;
using testing_support::PrivateRedis;

constexpr auto patience = 10s;

Task<> wait_until(std::function<bool()> condition) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) throw std::runtime_error{"waited in vain"};
    co_await sleep_for(2ms);
  }
}

Task<int> take_many(RateLimiter* limiter, std::string who, int count) {
  int allowed = 0;
  for (int i = 0; i < count; ++i) {
    if (limiter->take(0, who).allowed) ++allowed;
  }
  co_return allowed;
}

Task<Allowance> take_one(RateLimiter* limiter, std::size_t policy, std::string who) {
  co_return limiter->take(policy, who);
}

class RateLimiterTest : public testing::Test {
 protected:
  RateLimiterTest() {
    for (RateLimiter* limiter : {&here, &there}) limiter->start();
  }

  int take(RateLimiter& limiter, std::string who, int count) {
    return testing_support::run_on(loops, take_many(&limiter, std::move(who), count));
  }
  Allowance take(RateLimiter& limiter, std::size_t policy = 0, std::string who = "a") {
    return testing_support::run_on(loops, take_one(&limiter, policy, std::move(who)));
  }
  void until(std::function<bool()> condition) {
    testing_support::run_on(loops, wait_until(std::move(condition)));
  }

  PrivateRedis redis;
  telemetry::Telemetry telemetry{{.service = "redis-test", .log_level = "error"}};
  Loops loops{1};
  // An hour's window: nothing is refilled while a test runs.
  std::vector<RateLimiter::Policy> policies{
      {.name = "hourly", .limit = 10, .window = 3'600s, .burst = 0},
      {.name = "fast", .limit = 1'000, .window = 1s, .burst = 2},
  };
  RedisConfig config{.address = redis.address()};
  RateLimiter here{loops, config, policies, telemetry};
  RateLimiter there{loops, config, policies, telemetry};
};

TEST_F(RateLimiterTest, AllowsTheBurstAndTellsWhenToComeBack) {
  const Allowance first = take(here);
  EXPECT_TRUE(first.allowed);
  EXPECT_EQ(first.limit, 10);
  EXPECT_EQ(first.remaining, 9);
  EXPECT_EQ(take(here, "a", 20), 9);
  const Allowance refused = take(here);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.remaining, 0);
  EXPECT_GT(refused.reset, 300s);
  EXPECT_LE(refused.reset, 361s);
}

TEST_F(RateLimiterTest, CountsEachClientAndPolicyApart) {
  EXPECT_EQ(take(here, "a", 20), 10);
  EXPECT_EQ(take(here, "b", 20), 10);
  EXPECT_TRUE(take(here, 1, "a").allowed);
}

TEST_F(RateLimiterTest, RefillsWithTime) {
  EXPECT_TRUE(take(here, 1).allowed);
  EXPECT_TRUE(take(here, 1).allowed);
  until([&] { return here.take(1, "a").allowed; });
}

TEST_F(RateLimiterTest, LearnsWhatAnotherProcessAllowed) {
  EXPECT_EQ(take(here, "a", 8), 8);
  until([&] { return redis.command("HGET limit:hourly:a tokens").starts_with("2.0"); });
  EXPECT_EQ(take(there, "a", 1), 1);
  // Two were left for both of them and one is spent, so one more passes somewhere.
  until([&] { return redis.command("HGET limit:hourly:a tokens").starts_with("1.0"); });
  testing_support::run_on(loops, sleep_for(50ms));
  EXPECT_EQ(take(there, "a", 20), 1);
}

TEST_F(RateLimiterTest, LeavesNoBucketBehindForEver) {
  take(here, "a", 1);
  until([&] { return redis.command("EXISTS limit:hourly:a") == ":1"; });
  const std::string reply = redis.command("TTL limit:hourly:a");
  EXPECT_GT(std::stol(reply.substr(1)), 0);
}

TEST_F(RateLimiterTest, CountsAloneWithoutRedis) {
  redis.kill();
  EXPECT_EQ(take(here, "a", 20), 10);
  EXPECT_EQ(take(there, "a", 20), 10);
}

TEST_F(RateLimiterTest, CountsAloneWhereThereIsNoRedisAtAll) {
  RateLimiter alone{loops, {.address = ""}, policies, telemetry};
  alone.start();
  EXPECT_EQ(take(alone, "a", 20), 10);
}

TEST_F(RateLimiterTest, NeverWaitsForAFrozenRedis) {
  redis.freeze();
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(take(here, "a", 10'000), 10);
  EXPECT_LT(std::chrono::steady_clock::now() - started, 1s);
  redis.resume();
}

TEST_F(RateLimiterTest, TellsRedisLaterWhatItAllowedAlone) {
  redis.kill();
  EXPECT_EQ(take(here, "a", 20), 10);
  redis.start();
  until([&] {
    return redis.command("EXISTS limit:hourly:a") == ":1" &&
           redis.command("HGET limit:hourly:a tokens").starts_with("0.0");
  });
}

TEST_F(RateLimiterTest, ForgetsTheOldestClientsBeyondItsBound) {
  EXPECT_EQ(take(here, "first", 10), 10);
  redis.kill();
  for (int i = 0; i < 7; ++i) {
    testing_support::run_on(loops, [](RateLimiter* limiter, int batch) -> Task<> {
      for (int k = 0; k < 10'000; ++k) limiter->take(0, std::format("{}-{}", batch, k));
      co_return;
    }(&here, i));
  }
  EXPECT_EQ(take(here, "first", 20), 10);
}

}  // namespace
}  // namespace stoa::redis
