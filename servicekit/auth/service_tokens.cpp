#include <map>
#include <mutex>
#include <utility>

#include "servicekit/auth/auth.hpp"
#include "servicekit/crypto/crypto.hpp"

namespace stoa::auth {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::minutes lifetime{10};
constexpr std::chrono::minutes kept{8};

}  // namespace

struct ServiceTokens::Impl {
  struct Minted {
    std::string header;
    Clock::time_point minted_at;
  };

  std::string service;
  Signer signer;
  std::mutex mutex{};
  std::map<std::string, Minted> minted{};  // one for each callee, of which there are five
};

ServiceTokens::ServiceTokens(std::string service, Secret<> private_key_pem)
    : impl_{std::make_unique<Impl>(std::move(service), Signer{private_key_pem})} {}

ServiceTokens::~ServiceTokens() = default;

std::string ServiceTokens::authorization_for(const std::string& callee) {
  const std::scoped_lock lock{impl_->mutex};
  Impl::Minted& token = impl_->minted[callee];
  // Kept by the steady clock: a wall clock that is set back does not stretch a token's use.
  const auto now = Clock::now();
  if (token.header.empty() || now - token.minted_at >= kept) {
    const auto wall =
        std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    Claims claims{.subject = impl_->service,
                  .session = {},
                  .audience = callee,
                  .issuer = impl_->service,
                  .token_id = crypto::new_uuid().str(),
                  .roles = {},
                  .scopes = {},
                  .issued_at = wall,
                  .expires_at = wall + lifetime};
    token = {.header = "authorization: Bearer " + impl_->signer.sign(claims) + "\r\n",
             .minted_at = now};
  }
  return token.header;
}

}  // namespace stoa::auth
