#include "services/user-service/adapters/signing_keys.hpp"

#include <utility>

#include "servicekit/async/if_available.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/crypto/crypto.hpp"

#include "services/user-service/domain/signing_key.hpp"

namespace stoa::user {
namespace {

constexpr std::chrono::milliseconds read_timeout{2'000};

std::vector<Instant> dates_of(const StoredSigningKeys& stored) {
  std::vector<Instant> dates;
  dates.reserve(stored.keys.size());
  for (const auto& key : stored.keys) dates.push_back(key.signs_from);
  return dates;
}

std::string set_of(const StoredSigningKeys& stored) {
  const auto dates = dates_of(stored);
  std::string set = "{\"keys\":[";
  for (std::size_t i = 0; i < stored.keys.size(); ++i) {
    if (!is_published(dates, i, stored.now)) continue;
    if (set.back() != '[') set += ',';
    set += stored.keys[i].public_jwk;
  }
  return set + "]}";
}

// Bound to its id, so that no row can lend its key to another.
std::string context_of(const std::string& key_id) { return "signing key " + key_id; }

}  // namespace

SigningKeys::SigningKeys(Loops& loops, PgSigningKeys& store, CpuPool& pool, Secret<> sealing_key)
    : store_{store},
      pool_{pool},
      sealing_key_{std::move(sealing_key)},
      shards_{loops, [](boost::asio::io_context&) { return std::make_unique<Shard>(); }} {}

Task<std::shared_ptr<const auth::Signer>> SigningKeys::signer(Context context) {
  const auto now_known = co_await known(std::move(context));
  co_return now_known->signer;
}

Task<std::string> SigningKeys::jwks(Context context) {
  const auto now_known = co_await known(std::move(context));
  co_return now_known->jwks;
}

Task<std::string> SigningKeys::rotate(Context context) {
  const auto stored = co_await store_.load(context);
  const bool first = stored.keys.empty();
  const std::int64_t generation = first ? 1 : stored.keys.back().generation + 1;
  co_return co_await add(std::move(context), generation,
                         first ? std::chrono::seconds{0} : std::chrono::seconds{key_lead});
}

Task<std::shared_ptr<const SigningKeys::Known>> SigningKeys::known(Context context) {
  Shard& shard = shards_.local();
  const auto now = std::chrono::steady_clock::now();
  if (shard.known && now - shard.known->read_at < read_again_after) co_return shard.known;
  if (!shard.known) {
    shard.known = co_await read(std::move(context));
    co_return shard.known;
  }
  // What is known is good for minutes: a database that is away must not be asked by every login.
  auto postponed = std::make_shared<Known>(*shard.known);
  postponed->read_at = now;
  shard.known = std::move(postponed);
  auto fresh = co_await if_available(read(context.within(read_timeout)));
  if (fresh) shard.known = std::move(*fresh);
  co_return shard.known;
}

Task<std::shared_ptr<const SigningKeys::Known>> SigningKeys::read(Context context) {
  auto stored = co_await store_.load(context);
  if (stored.keys.empty()) {
    co_await add(context, 1, std::chrono::seconds{0});
    stored = co_await store_.load(context);
  }
  co_return open(stored);
}

Task<std::string> SigningKeys::add(Context context, std::int64_t generation,
                                   std::chrono::seconds lead) {
  const auto pem = co_await pool_.run([] { return auth::generate_private_key(); });
  const auth::Signer signer{pem};
  StoredSigningKey key{
      .generation = generation,
      .key_id = signer.key_id(),
      .public_jwk = signer.public_jwk(),
      .private_sealed = crypto::seal(sealing_key_, pem.reveal(), context_of(signer.key_id())),
      .signs_from = {}};
  // A replica that was first is as good: its key is read next.
  co_await store_.insert(std::move(context), std::move(key), lead);
  co_return signer.key_id();
}

std::shared_ptr<const SigningKeys::Known> SigningKeys::open(const StoredSigningKeys& stored) const {
  if (stored.keys.empty()) throw Unavailable{"there is no signing key"};
  const StoredSigningKey& key = stored.keys[signing_key(dates_of(stored), stored.now)];
  const auto pem = crypto::open_sealed(sealing_key_, key.private_sealed, context_of(key.key_id));
  if (!pem) {
    throw Unavailable{"the signing key cannot be opened: STOA_KEY_ENCRYPTION_KEY is another one"};
  }
  return std::make_shared<const Known>(
      Known{.signer = std::make_shared<const auth::Signer>(Secret<>{*pem}),
            .jwks = set_of(stored),
            .read_at = std::chrono::steady_clock::now()});
}

}  // namespace stoa::user
