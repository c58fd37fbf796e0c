#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <format>
#include <list>
#include <unordered_map>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/redis/link.hpp"
#include "servicekit/redis/redis.hpp"

namespace stoa::redis {
namespace {

using detail::Command;
using detail::Link;
using Clock = std::chrono::steady_clock;

constexpr std::size_t buckets_max = 65'536;  // per loop; the least recently used one is forgotten
constexpr std::chrono::milliseconds reconcile_period{200};
constexpr std::size_t reconcile_batch_max = 256;

// The bucket that all loops and processes share, by Redis' clock. It may go below zero, down to one
// burst: two loops that spent the same token at once owe one.
constexpr std::string_view spend_script = R"lua(
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local left = {}
  for i = 1, #KEYS do
    local per_ms = tonumber(ARGV[3 * i - 2])
    local burst = tonumber(ARGV[3 * i - 1])
    local spent = tonumber(ARGV[3 * i])
    local stored = redis.call('HMGET', KEYS[i], 'tokens', 'at')
    local tokens = tonumber(stored[1]) or burst
    local at = tonumber(stored[2]) or now
    tokens = math.min(burst, tokens + math.max(0, now - at) * per_ms) - spent
    tokens = math.max(tokens, -burst)
    redis.call('HSET', KEYS[i], 'tokens', string.format('%.6f', tokens),
               'at', string.format('%.0f', now))
    redis.call('PEXPIRE', KEYS[i], string.format('%.0f', math.ceil(2 * burst / per_ms) + 1000))
    left[i] = string.format('%.6f', tokens)
  end
  return left
)lua";

struct Rate {
  std::string name;
  std::int64_t limit;
  double burst;
  double per_ms;
};

struct Bucket {
  std::string key;
  std::size_t policy = 0;
  double tokens = 0;
  double unreconciled = 0;  ///< spent here and not yet told to Redis
  Clock::time_point refilled_at{};
  bool listed = false;  ///< among the shard's spenders
};

std::chrono::seconds seconds_for(double tokens, const Rate& rate) {
  return std::chrono::seconds{
      static_cast<std::int64_t>(std::ceil(std::max(0.0, tokens) / rate.per_ms / 1'000))};
}

/// The buckets of one loop, most recently used first.
class Shard {
 public:
  explicit Shard(std::shared_ptr<Link> link) : link_{std::move(link)} {}

  Link& link() { return *link_; }
  std::shared_ptr<Link> shared_link() { return link_; }

  Bucket& touch(std::size_t policy, const std::string& who, const Rate& rate,
                Clock::time_point now) {
    std::string key = std::format("limit:{}:{}", rate.name, who);
    const auto found = index_.find(key);
    if (found != index_.end()) {
      buckets_.splice(buckets_.begin(), buckets_, found->second);
    } else {
      if (buckets_.size() >= buckets_max) {
        index_.erase(buckets_.back().key);
        buckets_.pop_back();
      }
      buckets_.push_front({.key = key, .policy = policy, .tokens = rate.burst, .refilled_at = now});
      index_.emplace(std::move(key), buckets_.begin());
    }
    return buckets_.front();
  }

  void list(Bucket& bucket) {
    if (bucket.listed || spenders_.size() >= buckets_max) return;
    bucket.listed = true;
    spenders_.push_back(bucket.key);
  }

  /// The next buckets to reconcile; forgotten ones are passed over.
  std::vector<std::string> take_spenders() {
    std::vector<std::string> batch;
    while (!spenders_.empty() && batch.size() < reconcile_batch_max) {
      if (Bucket* bucket = find(spenders_.back())) {
        bucket->listed = false;
        batch.push_back(std::move(spenders_.back()));
      }
      spenders_.pop_back();
    }
    return batch;
  }

  Bucket* find(const std::string& key) {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &*found->second;
  }

 private:
  std::shared_ptr<Link> link_;
  std::list<Bucket> buckets_;
  std::unordered_map<std::string, std::list<Bucket>::iterator> index_;
  std::vector<std::string> spenders_;  // at most buckets_max; forgotten ones included
};

void refill(Bucket& bucket, const Rate& rate, Clock::time_point now) {
  const std::chrono::duration<double, std::milli> passed = now - bucket.refilled_at;
  bucket.tokens = std::min(rate.burst, bucket.tokens + passed.count() * rate.per_ms);
  bucket.refilled_at = now;
}

}  // namespace

struct RateLimiter::Impl : std::enable_shared_from_this<RateLimiter::Impl> {
  Impl(Loops& all_loops, const RedisConfig& config, std::vector<Policy> policies,
       telemetry::Telemetry& telemetry)
      : loops{all_loops},
        shards{all_loops, [&](boost::asio::io_context& loop) {
                 return std::make_unique<Shard>(std::make_shared<Link>(
                     loop, config,
                     telemetry.counter("stoa_redis_failures_total",
                                       "Failed commands and connections", {{"use", "limiter"}})));
               }} {
    for (Policy& policy : policies) {
      require(policy.limit > 0 && policy.window.count() > 0, "a limit allows something");
      const std::int64_t burst = policy.burst > 0 ? policy.burst : policy.limit;
      rates.push_back({.name = std::move(policy.name),
                       .limit = policy.limit,
                       .burst = static_cast<double>(burst),
                       .per_ms = static_cast<double>(policy.limit) /
                                 (static_cast<double>(policy.window.count()) * 1'000)});
    }
  }

  static Task<> reconcile_for_ever(std::shared_ptr<Impl> impl, std::size_t loop);
  /// False when Redis did not answer: then this process counts alone.
  Task<bool> reconcile(std::size_t loop, std::vector<std::string> keys);

  Loops& loops;
  std::vector<Rate> rates;
  PerLoop<Shard> shards;
  std::atomic<bool> stopping{false};
};

Task<bool> RateLimiter::Impl::reconcile(std::size_t loop, std::vector<std::string> keys) {
  Shard& shard = shards.at(loop);
  Command spend{"EVAL", std::string{spend_script}, std::to_string(keys.size())};
  spend.insert(spend.end(), keys.begin(), keys.end());
  std::vector<double> told;
  for (const std::string& key : keys) {
    Bucket& bucket = *shard.find(key);
    const Rate& rate = rates[bucket.policy];
    // What was spent while Redis was away is told up to one burst: it would be refilled by now.
    const double spent = std::min(std::exchange(bucket.unreconciled, 0), rate.burst);
    told.push_back(spent);
    spend.push_back(std::format("{}", rate.per_ms));
    spend.push_back(std::format("{}", rate.burst));
    spend.push_back(std::format("{}", spent));
  }
  std::vector<Command> commands;
  commands.push_back(std::move(spend));
  const auto left = co_await shard.link().execute(Context{}, std::move(commands));
  const bool answered = left && left->size() == keys.size();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    Bucket* bucket = shard.find(keys[i]);
    if (bucket == nullptr) continue;
    if (!answered) {
      bucket->unreconciled += told[i];
      shard.list(*bucket);
      continue;
    }
    const std::string& text = (*left)[i].value_or("0");
    double tokens = 0;
    std::from_chars(text.data(), text.data() + text.size(), tokens);
    refill(*bucket, rates[bucket->policy], Clock::now());
    bucket->tokens = tokens - bucket->unreconciled;
  }
  co_return answered;
}

Task<> RateLimiter::Impl::reconcile_for_ever(std::shared_ptr<Impl> impl, std::size_t loop) {
  while (!impl->stopping) {
    co_await sleep_for(reconcile_period);
    bool answered = true;
    while (answered) {
      auto keys = impl->shards.at(loop).take_spenders();
      if (keys.empty()) break;
      answered = co_await impl->reconcile(loop, std::move(keys));
    }
  }
}

RateLimiter::RateLimiter(Loops& loops, RedisConfig config, std::vector<Policy> policies,
                         telemetry::Telemetry& telemetry)
    : impl_{std::make_shared<Impl>(loops, config, std::move(policies), telemetry)} {}

RateLimiter::~RateLimiter() {
  impl_->stopping = true;
  for (std::size_t i = 0; i < impl_->shards.count(); ++i) impl_->shards.at(i).link().stop();
}

void RateLimiter::start() {
  for (std::size_t i = 0; i < impl_->loops.count(); ++i) {
    spawn(impl_->loops.at(i), "redis connection", Link::run(impl_->shards.at(i).shared_link()));
    spawn(impl_->loops.at(i), "limit reconciliation", Impl::reconcile_for_ever(impl_, i));
  }
}

Allowance RateLimiter::take(std::size_t policy_index, const std::string& who) {
  const Rate& rate = impl_->rates.at(policy_index);
  Shard& shard = impl_->shards.local();
  const auto now = Clock::now();
  Bucket& bucket = shard.touch(policy_index, who, rate, now);
  refill(bucket, rate, now);
  if (bucket.tokens < 1) {
    return {.allowed = false,
            .limit = rate.limit,
            .remaining = 0,
            .reset = std::max(std::chrono::seconds{1}, seconds_for(1 - bucket.tokens, rate))};
  }
  bucket.tokens -= 1;
  bucket.unreconciled += 1;
  shard.list(bucket);
  return {.allowed = true,
          .limit = rate.limit,
          .remaining = static_cast<std::int64_t>(bucket.tokens),
          .reset = seconds_for(rate.burst - bucket.tokens, rate)};
}

}  // namespace stoa::redis
