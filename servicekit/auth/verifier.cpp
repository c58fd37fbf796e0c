#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "servicekit/auth/auth.hpp"
#include "servicekit/auth/token_check.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::auth {
namespace {

namespace asio = boost::asio;
using detail::KeySet;
using Clock = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;
using Keys = std::shared_ptr<const KeySet>;

// An access token lives 15 min; with the leeway, a session that ended earlier than this has none.
constexpr std::chrono::minutes revocation_memory{17};
// Asked again, since a revocation may be committed a little later than it is dated.
constexpr std::chrono::seconds revocation_overlap{30};
constexpr std::chrono::milliseconds first_retry{100};
constexpr std::chrono::milliseconds retry_max{5'000};
constexpr std::chrono::milliseconds fetch_timeout{2'000};
constexpr std::chrono::milliseconds key_wait_max{1'000};
constexpr std::chrono::seconds service_keys_every{1};

/// What one loop knows.
struct Shard {
  explicit Shard(std::size_t tokens_max) : tokens{tokens_max} {}

  detail::VerifiedTokens tokens;
  Keys users{};  ///< empty until the first fetch
  Keys services{};
  bool last_fetch_failed = false;
  bool revocations_known = false;
  std::unordered_map<SessionId, Instant> revoked{};
  std::vector<std::shared_ptr<Timer>> waiting_for_keys{};
};

Keys read_service_keys(const std::string& path) {
  std::ifstream file{path};
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return nullptr;
  auto keys = detail::parse_jwks(text.str(), detail::Owners::services);
  if (!keys) return nullptr;
  return std::make_shared<const KeySet>(std::move(*keys));
}

struct FileState {
  std::filesystem::file_time_type changed_at{};
  std::uintmax_t size = 0;
  friend bool operator==(const FileState&, const FileState&) = default;
};

// A stat of a local file once a second is no wait worth a thread.
FileState state_of(const std::string& path) {
  std::error_code error;
  return {.changed_at = std::filesystem::last_write_time(path, error),
          .size = std::filesystem::file_size(path, error)};
}

struct Outcomes {
  telemetry::Counter cached;
  telemetry::Counter verified;
  telemetry::Counter refused;

  explicit Outcomes(telemetry::Telemetry& telemetry)
      : cached{counter(telemetry, "cached")},
        verified{counter(telemetry, "verified")},
        refused{counter(telemetry, "refused")} {}

  static telemetry::Counter counter(telemetry::Telemetry& telemetry, const char* outcome) {
    return telemetry.counter("stoa_auth_tokens_total", "Bearer tokens by outcome",
                             {{"outcome", outcome}});
  }
};

}  // namespace

struct Verifier::Impl : std::enable_shared_from_this<Verifier::Impl> {
  Impl(Loops& all_loops, VerifierConfig settings, std::unique_ptr<KeySource> own_keys,
       KeySource* other_keys, telemetry::Telemetry& all_telemetry)
      : loops{all_loops},
        config{std::move(settings)},
        owned{std::move(own_keys)},
        source{owned ? *owned : *other_keys},
        telemetry{all_telemetry},
        outcomes{telemetry},
        revocations_age{telemetry.gauge("stoa_revocations_age_seconds",
                                        "Since the revoked sessions were last learnt")},
        keys_age{telemetry.gauge("stoa_jwks_age_seconds",
                                 "Since the keys of user tokens were last learnt")},
        shards{
            loops,
            [&](asio::io_context&) { return std::make_unique<Shard>(config.cached_tokens_max); }},
        keys_turn{loops.at(0).get_executor()},
        preparation{loops.at(0).get_executor(), Clock::time_point::max()} {}

  static Task<> keep_keys(std::shared_ptr<Impl> impl);
  static Task<> keep_revocations(std::shared_ptr<Impl> impl);
  static Task<> keep_service_keys(std::shared_ptr<Impl> impl);

  Task<bool> fetch_keys();
  Task<bool> fetch_revocations();
  void learn(Revocations page);
  void on_each_loop(std::function<void(Shard&)> change);
  void tell_keys(Keys keys);
  void ask_for_keys();
  Task<> keys_from_afar(Context context);

  bool is_prepared() const { return keys_known && revocations_since; }

  const detail::VerificationKey* find(const std::string& key_id);
  Result<http::Identity> judge(const detail::VerifiedToken& token);

  Loops& loops;
  VerifierConfig config;
  std::unique_ptr<KeySource> owned;
  KeySource& source;
  telemetry::Telemetry& telemetry;
  Outcomes outcomes;
  telemetry::Gauge revocations_age;
  telemetry::Gauge keys_age;
  PerLoop<Shard> shards;
  std::atomic<bool> stopping{false};

  // Of loop 0, where everything is fetched.
  Timer keys_turn;
  Timer preparation;  ///< cancelled when there is something new to judge by
  bool keys_known = false;
  Clock::time_point keys_asked_at{};
  Clock::time_point keys_learnt_at = Clock::now();
  Clock::time_point revocations_learnt_at = Clock::now();
  std::optional<Instant> revocations_since{};
  std::string keys_text{};
};

void Verifier::Impl::on_each_loop(std::function<void(Shard&)> change) {
  for (std::size_t i = 0; i < loops.count(); ++i) {
    asio::post(loops.at(i), [impl = shared_from_this(), change, i] { change(impl->shards.at(i)); });
  }
}

// Wakes who waits, whether or not there is something new: the answer is what they wait for.
void Verifier::Impl::tell_keys(Keys keys) {
  on_each_loop([keys = std::move(keys), failed = keys_text.empty()](Shard& shard) {
    shard.last_fetch_failed = failed;
    if (keys) {
      shard.users = keys;
      shard.tokens.clear();  // a key that was withdrawn takes its tokens with it
    }
    for (const auto& timer : shard.waiting_for_keys) timer->cancel();
    shard.waiting_for_keys.clear();
  });
}

Task<bool> Verifier::Impl::fetch_keys() {
  keys_asked_at = Clock::now();
  std::string text;
  try {
    text = co_await source.jwks(Context{}.within(fetch_timeout));
  } catch (const std::exception& error) {
    telemetry.warn("jwks_fetch_failed", {{"detail", std::string_view{error.what()}}});
  }
  Keys changed;
  if (!text.empty() && text != keys_text) {
    auto parsed = detail::parse_jwks(text, detail::Owners::users);
    if (!parsed) {
      telemetry.error("jwks_unusable");
      text.clear();
    } else {
      changed = std::make_shared<const KeySet>(std::move(*parsed));
    }
  }
  keys_text = text;
  tell_keys(std::move(changed));
  if (text.empty()) co_return false;
  keys_known = true;
  preparation.cancel();
  keys_learnt_at = Clock::now();
  co_return true;
}

Task<> Verifier::Impl::keep_keys(std::shared_ptr<Impl> impl) {
  std::chrono::milliseconds retry = first_retry;
  while (!impl->stopping) {
    const bool fetched = co_await impl->fetch_keys();
    retry = fetched ? first_retry : std::min(retry * 2, retry_max);
    impl->keys_turn.expires_after(fetched ? impl->config.jwks_every : retry);
    co_await impl->keys_turn.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>{}));
  }
}

// On loop 0, for a token with a key we do not know.
void Verifier::Impl::ask_for_keys() {
  if (Clock::now() - keys_asked_at < config.unknown_key_every) {
    tell_keys(nullptr);
  } else {
    keys_turn.cancel();
  }
}

Task<> Verifier::Impl::keys_from_afar(Context context) {
  const Executor executor = co_await asio::this_coro::executor;
  const auto timer = std::make_shared<Timer>(executor, context.within(key_wait_max).deadline);
  shards.local().waiting_for_keys.push_back(timer);
  asio::post(loops.at(0), [impl = shared_from_this()] { impl->ask_for_keys(); });
  co_await timer->async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>{}));
}

Task<bool> Verifier::Impl::fetch_revocations() {
  std::optional<Instant> asked_at;
  std::optional<SessionId> after;
  bool more = true;
  while (more) {
    Revocations page;
    try {
      page = co_await source.revocations(Context{}.within(fetch_timeout), revocations_since, after);
    } catch (const std::exception& error) {
      // Told once and then by the age, which an alert watches.
      if (Clock::now() - revocations_learnt_at < config.revocations_every * 2) {
        telemetry.warn("revocations_fetch_failed", {{"detail", std::string_view{error.what()}}});
      }
      co_return false;
    }
    // Of the first page: what was revoked while the others came is asked for the next time.
    if (!asked_at) asked_at = page.now;
    more = page.more && !page.sessions.empty();
    if (more) after = page.sessions.back().id;
    learn(std::move(page));
  }
  revocations_since = *asked_at - revocation_overlap;
  preparation.cancel();
  revocations_learnt_at = Clock::now();
  co_return true;
}

void Verifier::Impl::learn(Revocations page) {
  const Instant forget_before = page.now - revocation_memory;
  on_each_loop([sessions = std::move(page.sessions), forget_before,
                last = !page.more](Shard& shard) {
    for (const auto& session : sessions) shard.revoked[session.id] = session.revoked_at;
    std::erase_if(shard.revoked, [&](const auto& entry) { return entry.second < forget_before; });
    if (last) shard.revocations_known = true;
  });
}

Task<> Verifier::Impl::keep_revocations(std::shared_ptr<Impl> impl) {
  const auto seconds_since = [](Clock::time_point then) {
    return std::chrono::duration<double>(Clock::now() - then).count();
  };
  while (!impl->stopping) {
    const bool fetched = co_await impl->fetch_revocations();
    impl->revocations_age.set(seconds_since(impl->revocations_learnt_at));
    impl->keys_age.set(seconds_since(impl->keys_learnt_at));
    // At the start user-service may be a moment later than we are.
    const bool first_missing = !fetched && !impl->revocations_since;
    co_await sleep_for(first_missing ? std::min(first_retry, impl->config.revocations_every)
                                     : impl->config.revocations_every);
  }
}

Task<> Verifier::Impl::keep_service_keys(std::shared_ptr<Impl> impl) {
  const std::string& path = impl->config.service_jwks_path;
  FileState known = state_of(path);
  while (!impl->stopping) {
    co_await sleep_for(service_keys_every);
    const FileState state = state_of(path);
    if (state == known) continue;
    Keys keys = read_service_keys(path);
    if (!keys) {
      // A file in the middle of being replaced: the last keys stand, the next turn looks again.
      impl->telemetry.warn("service_jwks_unusable");
      continue;
    }
    known = state;
    impl->on_each_loop([keys = std::move(keys)](Shard& shard) {
      shard.services = keys;
      shard.tokens.clear();
    });
  }
}

const detail::VerificationKey* Verifier::Impl::find(const std::string& key_id) {
  const Shard& shard = shards.local();
  for (const Keys& keys : {shard.users, shard.services}) {
    if (!keys) continue;
    const auto found = keys->find(key_id);
    if (found != keys->end()) return &found->second;
  }
  return nullptr;
}

Result<http::Identity> Verifier::Impl::judge(const detail::VerifiedToken& token) {
  if (token.expires_at + config.leeway <= std::chrono::system_clock::now()) {
    outcomes.refused.add();
    return refuse(ErrorKind::unauthenticated, "token_expired", "the access token has expired");
  }
  if (token.identity.kind == http::Identity::Kind::user) {
    const Shard& shard = shards.local();
    if (!shard.revocations_known) throw Unavailable{"the revoked sessions are not known yet"};
    if (shard.revoked.contains(token.identity.session)) {
      outcomes.refused.add();
      return refuse(ErrorKind::unauthenticated, "session_revoked", "this session has ended");
    }
  }
  return token.identity;
}

Verifier::Verifier(Loops& loops, VerifierConfig config, std::unique_ptr<KeySource> owned,
                   KeySource* keys, telemetry::Telemetry& telemetry)
    : impl_{std::make_shared<Impl>(loops, std::move(config), std::move(owned), keys, telemetry)} {
  if (impl_->config.service_jwks_path.empty()) return;
  const Keys services = read_service_keys(impl_->config.service_jwks_path);
  if (!services) {
    throw std::runtime_error{"cannot read the services' public keys from " +
                             impl_->config.service_jwks_path};
  }
  for (std::size_t i = 0; i < loops.count(); ++i) impl_->shards.at(i).services = services;
}

Verifier::Verifier(Loops& loops, VerifierConfig config, KeySource& keys,
                   telemetry::Telemetry& telemetry)
    : Verifier{loops, std::move(config), nullptr, &keys, telemetry} {}

Verifier::~Verifier() { impl_->stopping = true; }

void Verifier::start() {
  auto& loop = impl_->loops.at(0);
  spawn(loop, "keys of user tokens", Impl::keep_keys(impl_));
  spawn(loop, "revoked sessions", Impl::keep_revocations(impl_));
  if (!impl_->config.service_jwks_path.empty()) {
    spawn(loop, "keys of services", Impl::keep_service_keys(impl_));
  }
}

Task<> Verifier::prepared() {
  const std::shared_ptr<Impl> impl = impl_;
  while (!impl->is_prepared()) {
    co_await impl->preparation.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>{}));
  }
}

Task<Result<http::Identity>> Verifier::authenticate(Context context, std::string_view token) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto digest = crypto::sha256(token);
  if (const auto* known = impl->shards.local().tokens.find(digest)) {
    impl->outcomes.cached.add();
    co_return impl->judge(*known);
  }
  // Taken apart into copies before the first wait: `token` belongs to the caller's buffer.
  const auto parsed = detail::parse_token(token);
  if (!parsed) {
    impl->outcomes.refused.add();
    co_return std::unexpected(detail::token_invalid());
  }
  const auto* key = impl->find(parsed->key_id);
  if (key == nullptr) {
    if (!impl->shards.local().users) throw Unavailable{"the keys of user tokens are not known yet"};
    co_await impl->keys_from_afar(std::move(context));
    key = impl->find(parsed->key_id);
  }
  if (key == nullptr) {
    if (impl->shards.local().last_fetch_failed) throw Unavailable{"user-service is unreachable"};
    impl->outcomes.refused.add();
    co_return std::unexpected(detail::token_invalid());
  }
  auto verified = detail::check_token(*parsed, *key, impl->config);
  if (!verified) {
    impl->outcomes.refused.add();
    co_return std::unexpected(verified.error());
  }
  impl->outcomes.verified.add();
  co_return impl->judge(impl->shards.local().tokens.put(digest, std::move(*verified)));
}

}  // namespace stoa::auth
