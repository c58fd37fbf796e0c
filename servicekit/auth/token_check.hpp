#pragma once

#include <cstring>
#include <unordered_map>
#include <utility>

#include "servicekit/auth/auth.hpp"
#include "servicekit/auth/jwt.hpp"
#include "servicekit/crypto/crypto.hpp"

// Private to this folder: what a token must say, and the memory of those that did.
namespace stoa::auth::detail {

struct VerifiedToken {
  http::Identity identity;
  Instant expires_at{};
};

/// Checks signature and claims against `key`, which decides what kind of token this may be: a key
/// of users makes user tokens for the audience "stoa", a key of a service makes tokens of that
/// service for us. The expiry is left to the caller, who also knows cached tokens.
/// Errors: token_invalid.
Result<VerifiedToken> check_token(const CompactToken& token, const VerificationKey& key,
                                  const VerifierConfig& config);

/// The one answer to every token that is not good: why is nobody's business.
Error token_invalid();

/// Tokens of one loop that were verified, by their digest. Two generations: when the younger one is
/// full it becomes the older, so what is in use stays and nothing is ever searched for its age.
class VerifiedTokens {
 public:
  explicit VerifiedTokens(std::size_t tokens_max) : generation_max_{tokens_max / 2 + 1} {}

  const VerifiedToken* find(const crypto::Digest& digest) {
    const auto found = young_.find(digest);
    if (found != young_.end()) return &found->second;
    const auto aged = old_.find(digest);
    if (aged == old_.end()) return nullptr;
    return &put(digest, VerifiedToken{aged->second});
  }

  const VerifiedToken& put(const crypto::Digest& digest, VerifiedToken token) {
    if (young_.size() >= generation_max_) old_ = std::exchange(young_, {});
    return young_.insert_or_assign(digest, std::move(token)).first->second;
  }

  void clear() {
    young_.clear();
    old_.clear();
  }

  std::size_t size() const { return young_.size() + old_.size(); }

 private:
  struct Hash {
    // The first bytes of a SHA-256 are as good a hash as any.
    std::size_t operator()(const crypto::Digest& digest) const noexcept {
      std::size_t hash = 0;
      std::memcpy(&hash, digest.data(), sizeof hash);
      return hash;
    }
  };
  using Tokens = std::unordered_map<crypto::Digest, VerifiedToken, Hash>;

  std::size_t generation_max_;
  Tokens young_;
  Tokens old_;
};

}  // namespace stoa::auth::detail
