#include "services/user-service/adapters/pooled_credentials.hpp"

#include <utility>

#include "servicekit/core/encoding.hpp"
#include "servicekit/crypto/crypto.hpp"

namespace stoa::user {
namespace {

constexpr std::size_t token_bytes = 32;

std::string text_of(const crypto::Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// The prefix lets secret scanners find a token that leaked.
Secret<> refresh_token_of(std::string_view bytes) { return Secret<>{"rt_" + base64url(bytes)}; }

auth::Claims claims_of(const Grant& grant, Instant now) {
  return {.subject = grant.user.str(),
          .session = grant.session.str(),
          .audience = "stoa",
          .issuer = "stoa",
          .token_id = crypto::new_uuid().str(),
          .roles = {std::string{name(grant.role)}},
          .scopes = scopes_of(grant.role),
          .issued_at = now,
          .expires_at = now + access_token_lifetime};
}

}  // namespace

PooledCredentials::PooledCredentials(Pools pools, SigningKeys& keys, const Secret<>& master_key)
    : pools_{pools},
      keys_{keys},
      successor_key_{text_of(crypto::hmac_sha256(master_key, "successors of refresh tokens"))} {}

Task<PasswordHash> PooledCredentials::hash(Context, Secret<> password) {
  auto work = [password = std::move(password)] { return crypto::hash_password(password); };
  auto phc = co_await pools_.passwords.run(std::move(work));
  co_return PasswordHash{std::move(phc)};
}

Task<bool> PooledCredentials::matches(Context, std::optional<PasswordHash> hash,
                                      Secret<> password) {
  // Verifying against nothing costs a hash as well.
  std::string phc = hash ? std::move(hash->value) : std::string{};
  auto work = [phc = std::move(phc), password = std::move(password)] {
    return crypto::verify_password(phc, password);
  };
  co_return co_await pools_.passwords.run(std::move(work));
}

Secret<> PooledCredentials::new_refresh_token() {
  return refresh_token_of(crypto::random_bytes(token_bytes));
}

Secret<> PooledCredentials::successor_of(const Secret<>& refresh_token) {
  return refresh_token_of(text_of(crypto::hmac_sha256(successor_key_, refresh_token.reveal())));
}

TokenHash PooledCredentials::hash_of(const Secret<>& refresh_token) {
  return {text_of(crypto::sha256(refresh_token.reveal()))};
}

Task<std::string> PooledCredentials::access_token(Context context, Grant grant) {
  const auto signer = co_await keys_.signer(std::move(context));
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  auto work = [signer, claims = claims_of(grant, now)] { return signer->sign(claims); };
  co_return co_await pools_.signatures.run(std::move(work));
}

}  // namespace stoa::user
