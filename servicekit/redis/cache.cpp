#include <atomic>
#include <random>
#include <unordered_map>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "servicekit/core/encoding.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/redis/link.hpp"
#include "servicekit/redis/pending_invalidations.hpp"
#include "servicekit/redis/redis.hpp"

namespace stoa::redis {
namespace {

namespace asio = boost::asio;
using detail::Command;
using detail::Link;
using detail::PendingInvalidations;
using Clock = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;

constexpr std::size_t value_bytes_max = 1024 * 1024;
constexpr std::chrono::milliseconds lease_lifetime{30'000};
constexpr std::size_t lease_token_bytes = 12;
constexpr std::chrono::milliseconds repair_period{250};
constexpr std::chrono::milliseconds repair_timeout{2'000};
// Keys of one removal command.
constexpr std::size_t removal_max = 500;

// A load may be stored only while the lease taken before it stands. An invalidation removes the
// lease with the value, so what was read before it is never stored after it. Losing Redis loses the
// lease too. (The leases of "Scaling Memcache at Facebook", section 3.2.1.)
constexpr std::string_view store_if_leased = R"lua(
  if redis.call('GET', KEYS[2]) == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    redis.call('DEL', KEYS[2])
    return 1
  end
  return 0
)lua";

std::string lease_of(const std::string& key) { return key + ":lease"; }

// Not by an initializer list, which copies the key once more for each list around it.
std::vector<Command> get_of(const std::string& key) {
  std::vector<Command> commands(1);
  commands.front().reserve(2);
  commands.front().emplace_back("GET");
  commands.front().push_back(key);
  return commands;
}

/// One load that several requests wait for. Lives on one loop.
struct Flight {
  bool landed = false;
  std::optional<std::optional<std::string>> value{};  ///< empty when the load failed
  std::vector<std::shared_ptr<Timer>> waiting{};

  void land() {
    landed = true;
    for (const auto& timer : waiting) timer->cancel();
    waiting.clear();
  }
};

/// The cache of one loop.
struct Shard {
  std::shared_ptr<Link> link;
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights{};
  std::minstd_rand random{std::random_device{}()};

  std::chrono::milliseconds jittered(std::chrono::seconds ttl) {
    // Keys that were stored together must not expire together.
    std::uniform_int_distribution<std::int64_t> per_mille{900, 1'100};
    return std::chrono::milliseconds{ttl.count() * per_mille(random)};
  }
};

/// Takes part of a shard's flights: whatever ends the leader (its answer, an exception, its frame
/// being destroyed), who waits is woken.
class Leading {
 public:
  Leading(std::shared_ptr<Shard> shard, std::string key)
      : shard_{std::move(shard)}, key_{std::move(key)}, flight_{std::make_shared<Flight>()} {
    shard_->flights[key_] = flight_;
  }
  Leading(const Leading&) = delete;
  Leading& operator=(const Leading&) = delete;
  ~Leading() {
    const auto found = shard_->flights.find(key_);
    if (found != shard_->flights.end() && found->second == flight_) shard_->flights.erase(found);
    flight_->land();
  }

  void hand_out(const std::optional<std::string>& value) { flight_->value = value; }

 private:
  std::shared_ptr<Shard> shard_;
  std::string key_;
  std::shared_ptr<Flight> flight_;
};

Task<> wait_for(std::shared_ptr<Flight> flight, Context context) {
  const Executor executor = co_await asio::this_coro::executor;
  const auto timer = std::make_shared<Timer>(executor, context.deadline);
  flight->waiting.push_back(timer);
  co_await timer->async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>{}));
}

Task<> store(std::shared_ptr<Link> link, std::string key, std::string lease, std::string value,
             std::chrono::milliseconds ttl) {
  std::vector<Command> commands{{"EVAL", std::string{store_if_leased}, "2", key, lease_of(key),
                                 std::move(lease), std::move(value), std::to_string(ttl.count())}};
  co_await link->execute(Context{}, std::move(commands));
}

/// False when Redis did not confirm.
Task<bool> remove(std::shared_ptr<Link> link, Context context, PendingInvalidations::Batch batch) {
  std::vector<Command> commands;
  if (batch.everything) commands.push_back({"FLUSHDB", "ASYNC"});
  for (std::size_t from = 0; from < batch.keys.size(); from += removal_max) {
    Command removal{"DEL"};
    const std::size_t to = std::min(batch.keys.size(), from + removal_max);
    for (std::size_t i = from; i < to; ++i) {
      removal.push_back(batch.keys[i]);
      removal.push_back(lease_of(batch.keys[i]));
    }
    commands.push_back(std::move(removal));
  }
  const auto replies = co_await link->execute(std::move(context), std::move(commands));
  co_return replies.has_value();
}

}  // namespace

struct Cache::Impl : std::enable_shared_from_this<Cache::Impl> {
  Impl(Loops& all_loops, const RedisConfig& config, telemetry::Telemetry& telemetry)
      : loops{all_loops},
        hits{telemetry.counter("stoa_cache_reads_total", "Reads by result", {{"result", "hit"}})},
        misses{
            telemetry.counter("stoa_cache_reads_total", "Reads by result", {{"result", "miss"}})},
        pending_gauge{telemetry.gauge("stoa_cache_pending_invalidations",
                                      "Keys whose removal Redis has not confirmed")},
        shards{
            all_loops, [&](asio::io_context& loop) {
              return std::make_unique<Shard>(Shard{
                  .link = std::make_shared<Link>(
                      loop, config,
                      telemetry.counter("stoa_redis_failures_total",
                                        "Failed commands and connections", {{"use", "cache"}}))});
            }} {}

  static Task<std::optional<std::string>> lead(std::shared_ptr<Impl> impl, Context context,
                                               std::string key, std::chrono::seconds ttl,
                                               Load load);
  static Task<> repair(std::shared_ptr<Impl> impl);
  void forget_flights(const std::vector<std::string>& keys);

  Loops& loops;
  telemetry::Counter hits;
  telemetry::Counter misses;
  telemetry::Gauge pending_gauge;
  PendingInvalidations pending;
  PerLoop<Shard> shards;
  std::atomic<bool> stopping{false};
};

// Holds what it uses: a frame that is still waiting when the process ends is destroyed with its
// loop, after the cache.
Task<std::optional<std::string>> Cache::Impl::lead(std::shared_ptr<Impl> impl, Context context,
                                                   std::string key, std::chrono::seconds ttl,
                                                   Load load) {
  const std::shared_ptr<Shard> own_shard{impl, &impl->shards.local()};
  Shard& shard = *own_shard;
  Leading leading{own_shard, key};
  std::optional<std::string> lease;
  if (!impl->pending.contains(key)) {
    auto cached = co_await shard.link->execute(context, get_of(key));
    if (cached && cached->front()) {
      impl->hits.add();
      leading.hand_out(cached->front());
      co_return std::move(cached->front());
    }
    if (cached) {
      const std::string token = base64url(crypto::random_bytes(lease_token_bytes));
      // Several loaders share the lease of the first; all of them began after it was given.
      std::vector<Command> take{
          {"SET", lease_of(key), token, "NX", "GET", "PX", std::to_string(lease_lifetime.count())}};
      const auto taken = co_await shard.link->execute(context, std::move(take));
      if (taken) lease = taken->front().value_or(token);
    }
  }
  impl->misses.add();
  auto value = co_await load(context);
  leading.hand_out(value);
  if (value && lease && value->size() <= value_bytes_max && !impl->pending.contains(key)) {
    // Not waited for: commands of one connection stay in order, so the next read meets the value.
    auto storing = store(shard.link, key, std::move(*lease), *value, shard.jittered(ttl));
    asio::co_spawn(impl->loops.at(Loops::current()), std::move(storing), asio::detached);
  }
  co_return value;
}

// A request that begins after an invalidation must not join a load that began before it.
void Cache::Impl::forget_flights(const std::vector<std::string>& keys) {
  const std::size_t here = Loops::current();
  for (const std::string& key : keys) shards.local().flights.erase(key);
  for (std::size_t i = 0; i < loops.count(); ++i) {
    if (i == here) continue;
    asio::post(loops.at(i), [impl = shared_from_this(), keys, i] {
      for (const std::string& key : keys) impl->shards.at(i).flights.erase(key);
    });
  }
}

Task<> Cache::Impl::repair(std::shared_ptr<Impl> impl) {
  while (!impl->stopping) {
    co_await sleep_for(repair_period);
    auto batch = impl->pending.all();
    impl->pending_gauge.set(static_cast<double>(batch.keys.size()));
    if (batch.keys.empty() && !batch.everything) continue;
    const bool confirmed =
        co_await remove(impl->shards.local().link, Context{}.within(repair_timeout), batch);
    if (confirmed) impl->pending.confirm(batch);
  }
}

Cache::Cache(Loops& loops, RedisConfig config, telemetry::Telemetry& telemetry)
    : impl_{std::make_shared<Impl>(loops, config, telemetry)} {}

Cache::~Cache() {
  impl_->stopping = true;
  for (std::size_t i = 0; i < impl_->shards.count(); ++i) impl_->shards.at(i).link->stop();
}

void Cache::start() {
  for (std::size_t i = 0; i < impl_->loops.count(); ++i) {
    spawn(impl_->loops.at(i), "redis connection", Link::run(impl_->shards.at(i).link));
  }
  spawn(impl_->loops.at(0), "cache repair", Impl::repair(impl_));
}

Task<std::optional<std::string>> Cache::get(Context context, std::string key,
                                            std::chrono::seconds ttl, Load load) {
  auto& flights = impl_->shards.local().flights;
  while (true) {
    const auto found = flights.find(key);
    if (found == flights.end()) break;
    const std::shared_ptr<Flight> flight = found->second;
    co_await wait_for(flight, context);
    if (flight->value) co_return *flight->value;
    if (context.expired()) throw Unavailable{"the load of a cached value took too long"};
    // The leader failed, perhaps by a deadline shorter than ours: one of us takes over.
  }
  co_return co_await Impl::lead(impl_, std::move(context), std::move(key), ttl, std::move(load));
}

Task<> Cache::invalidate(Context context, std::vector<std::string> keys) {
  if (keys.empty()) co_return;
  const auto batch = impl_->pending.mark(keys);
  impl_->forget_flights(keys);
  const bool confirmed = co_await remove(impl_->shards.local().link, std::move(context), batch);
  if (confirmed) impl_->pending.confirm(batch);
}

}  // namespace stoa::redis
