#include <functional>
#include <memory>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>

#include "servicekit/async/loops.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/redis/redis.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/private_redis.hpp"
#include "servicekit/testing/run.hpp"

namespace stoa::redis {
namespace {

using namespace std::chrono_literals;
using testing_support::PrivateRedis;

constexpr auto patience = 10s;

/// What the cache stands before: a value that can change, and a count of the looks at it.
struct Source {
  std::string value = "one";
  int loads = 0;
  bool held = false;  ///< loads wait as long as this is set, holding what they have read
};

Task<std::optional<std::string>> load_from(std::shared_ptr<Source> source, Context context) {
  ++source->loads;
  std::string value = source->value;
  while (source->held && !context.expired()) co_await sleep_for(1ms);
  if (context.expired()) throw Unavailable{"the deadline passed"};
  if (value.empty()) co_return std::nullopt;
  co_return value;
}

Cache::Load loader(std::shared_ptr<Source> source) {
  return [source = std::move(source)](Context context) {
    return load_from(source, std::move(context));
  };
}

Task<> wait_until(std::function<bool()> condition) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) throw std::runtime_error{"waited in vain"};
    co_await sleep_for(2ms);
  }
}

class CacheTest : public testing::Test {
 protected:
  void SetUp() override {
    cache.start();
    other.start();
    run(usable(&cache));
    run(usable(&other));
  }

  void run(Task<> task) { testing_support::run_on(loops, std::move(task)); }

  std::optional<std::string> get(Cache& from, const std::string& key) {
    return testing_support::run_on(loops, from.get(Context{}.within(5s), key, 60s, loader(source)));
  }

  /// Reads a fresh key until a second read is served by Redis.
  static Task<> usable(Cache* cache) {
    const auto probe = std::make_shared<Source>();
    const auto until = std::chrono::steady_clock::now() + patience;
    for (int i = 0; std::chrono::steady_clock::now() < until; ++i) {
      probe->loads = 0;
      const std::string key = "probe" + std::to_string(i) + std::to_string(getpid());
      co_await cache->get(Context{}, key, 60s, loader(probe));
      co_await sleep_for(5ms);
      co_await cache->get(Context{}, key, 60s, loader(probe));
      if (probe->loads == 1) co_return;
    }
    throw std::runtime_error{"the cache did not become usable"};
  }

  static Task<> stored(PrivateRedis* redis, std::string key) {
    co_await wait_until([&] { return redis->command("EXISTS " + key) == ":1"; });
  }

  PrivateRedis redis{"a-password"};
  telemetry::Telemetry telemetry{{.service = "redis-test", .log_level = "error"}};
  Loops loops{1};
  RedisConfig config{.address = redis.address(), .password = Secret<>{std::string{"a-password"}}};
  Cache cache{loops, config, telemetry};
  Cache other{loops, config, telemetry};  // of another process, as far as Redis can tell
  std::shared_ptr<Source> source = std::make_shared<Source>();
};

TEST_F(CacheTest, LoadsOnceAndThenReadsFromRedis) {
  EXPECT_EQ(get(cache, "k"), "one");
  run(stored(&redis, "k"));
  EXPECT_EQ(get(cache, "k"), "one");
  EXPECT_EQ(get(other, "k"), "one");
  EXPECT_EQ(source->loads, 1);
}

TEST_F(CacheTest, KeepsAValueForItsTimeGiveOrTakeATenth) {
  for (int i = 0; i < 20; ++i) get(cache, "k" + std::to_string(i));
  run(stored(&redis, "k19"));
  for (int i = 0; i < 20; ++i) {
    const std::string reply = redis.command("PTTL k" + std::to_string(i));
    const long ttl_ms = std::stol(reply.substr(1));
    EXPECT_LE(ttl_ms, 66'000);
    EXPECT_GT(ttl_ms, 54'000 - patience / 1ms);
  }
}

TEST_F(CacheTest, DoesNotKeepAnEmptyLoad) {
  source->value.clear();
  EXPECT_FALSE(get(cache, "k"));
  EXPECT_FALSE(get(cache, "k"));
  EXPECT_EQ(source->loads, 2);
}

Task<> read_into(Cache* cache, Context context, std::shared_ptr<Source> source,
                 std::vector<std::string>* values) {
  const auto value = co_await cache->get(std::move(context), "k", 60s, loader(source));
  values->push_back(value.value_or("nothing"));
}

TEST_F(CacheTest, SharesOneLoadAmongConcurrentMisses) {
  source->held = true;
  std::vector<std::string> values;
  for (int i = 0; i < 50; ++i) {
    boost::asio::co_spawn(loops.at(0), read_into(&cache, Context{}.within(5s), source, &values),
                          boost::asio::detached);
  }
  run(wait_until([&] { return source->loads == 1; }));
  source->held = false;
  run(wait_until([&] { return values.size() == 50; }));
  EXPECT_EQ(source->loads, 1);
  EXPECT_EQ(values, std::vector<std::string>(50, "one"));
}

Task<> ignore_failure(Cache* cache, std::shared_ptr<Source> source, bool* failed) {
  try {
    co_await cache->get(Context{}.within(20ms), "k", 60s, loader(source));
  } catch (const Unavailable&) {
    *failed = true;
  }
}

TEST_F(CacheTest, TakesOverFromALoaderThatGaveUp) {
  source->held = true;
  bool failed = false;
  std::vector<std::string> values;
  boost::asio::co_spawn(loops.at(0), ignore_failure(&cache, source, &failed),
                        boost::asio::detached);
  run(wait_until([&] { return source->loads == 1; }));
  boost::asio::co_spawn(loops.at(0), read_into(&cache, Context{}.within(5s), source, &values),
                        boost::asio::detached);
  run(wait_until([&] { return failed && source->loads == 2; }));
  source->held = false;
  run(wait_until([&] { return !values.empty(); }));
  EXPECT_EQ(values.front(), "one");
}

TEST_F(CacheTest, ForgetsWhatIsInvalidated) {
  get(cache, "k");
  run(stored(&redis, "k"));
  source->value = "two";
  run(other.invalidate(Context{}, {"k"}));
  EXPECT_EQ(get(cache, "k"), "two");
}

TEST_F(CacheTest, NeverStoresWhatWasLoadedBeforeAnInvalidation) {
  for (int round = 0; round < 50; ++round) {
    source->value = "old";
    source->held = true;
    const int loads = source->loads;
    std::vector<std::string> values;
    boost::asio::co_spawn(loops.at(0), read_into(&cache, Context{}.within(5s), source, &values),
                          boost::asio::detached);
    run(wait_until([&] { return source->loads > loads; }));
    source->value = "new";
    // Both a process that has the load in hand and one that knows nothing of it.
    run((round % 2 == 0 ? other : cache).invalidate(Context{}, {"k"}));
    source->held = false;
    run(wait_until([&] { return !values.empty(); }));
    ASSERT_EQ(get(other, "k"), "new") << round;
    ASSERT_EQ(get(cache, "k"), "new") << round;
    run(cache.invalidate(Context{}, {"k"}));
  }
}

TEST_F(CacheTest, DoesNotLetALaterReadJoinALoadThatAnInvalidationOvertook) {
  source->held = true;
  std::vector<std::string> early;
  boost::asio::co_spawn(loops.at(0), read_into(&cache, Context{}.within(5s), source, &early),
                        boost::asio::detached);
  run(wait_until([&] { return source->loads == 1; }));
  source->value = "two";
  run(cache.invalidate(Context{}, {"k"}));
  std::vector<std::string> late;
  boost::asio::co_spawn(loops.at(0), read_into(&cache, Context{}.within(5s), source, &late),
                        boost::asio::detached);
  run(wait_until([&] { return source->loads == 2; }));
  source->held = false;
  run(wait_until([&] { return !early.empty() && !late.empty(); }));
  EXPECT_EQ(early.front(), "one");
  EXPECT_EQ(late.front(), "two");
}

TEST_F(CacheTest, LoadsWhileRedisIsGoneAndComesBackByItself) {
  get(cache, "k");
  redis.kill();
  source->value = "two";
  EXPECT_EQ(get(cache, "k"), "two");
  EXPECT_EQ(get(cache, "k"), "two");
  EXPECT_EQ(source->loads, 3);
  redis.start();
  run(usable(&cache));
}

TEST_F(CacheTest, LoadsWithinTheTimeOutWhileRedisIsFrozen) {
  get(cache, "k");
  run(stored(&redis, "k"));
  redis.freeze();
  const auto started = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get(cache, "k"), "one");
  EXPECT_EQ(source->loads, 21);
  // A few reads pay the time-out of 50 ms, then Redis is left alone between two looks.
  EXPECT_LT(std::chrono::steady_clock::now() - started, 3s);
  redis.resume();
  run(usable(&cache));
}

TEST_F(CacheTest, LoadsAgainAfterAFlush) {
  get(cache, "k");
  run(stored(&redis, "k"));
  redis.command("FLUSHALL");
  EXPECT_EQ(get(cache, "k"), "one");
  EXPECT_EQ(source->loads, 2);
}

TEST_F(CacheTest, RepairsAnInvalidationThatRedisMissed) {
  get(cache, "k");
  run(stored(&redis, "k"));
  redis.freeze();
  source->value = "two";
  run(cache.invalidate(Context{}, {"k"}));
  EXPECT_EQ(get(cache, "k"), "two");
  redis.resume();
  run(wait_until([&] { return redis.command("EXISTS k") == ":0"; }));
  run(usable(&other));
  EXPECT_EQ(get(other, "k"), "two");
}

TEST_F(CacheTest, MayEndBeforeAReadThatIsStillWaiting) {
  source->held = true;
  std::vector<std::string> values;
  {
    Cache short_lived{loops, config, telemetry};
    short_lived.start();
    boost::asio::co_spawn(loops.at(0), read_into(&short_lived, Context{}, source, &values),
                          boost::asio::detached);
    run(wait_until([&] { return source->loads == 1; }));
  }
  // Its frame goes with the loop, when the test ends.
  EXPECT_TRUE(values.empty());
}

TEST_F(CacheTest, RunsWithoutRedisWhenThePasswordIsWrong) {
  RedisConfig wrong = config;
  wrong.password = Secret<>{std::string{"another"}};
  Cache locked_out{loops, wrong, telemetry};
  locked_out.start();
  EXPECT_EQ(get(locked_out, "k"), "one");
  EXPECT_EQ(get(locked_out, "k"), "one");
  EXPECT_EQ(source->loads, 2);
}

}  // namespace
}  // namespace stoa::redis
