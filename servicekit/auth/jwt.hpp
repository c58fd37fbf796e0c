#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <openssl/evp.h>

#include "servicekit/core/error.hpp"

// Private to this folder: RSA keys by OpenSSL and the compact form of RFC 7515.
namespace stoa::auth::detail {

inline constexpr int key_bits_min = 2'048;
inline constexpr std::size_t token_bytes_max = 8'192;
inline constexpr std::size_t jwks_keys_max = 64;
inline constexpr std::string_view user_token_type = "at+jwt";
inline constexpr std::string_view service_token_type = "service+jwt";

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;

/// A public key and whose it is.
struct VerificationKey {
  Key key;
  std::string service;  ///< of the set of services; "" for a key of user tokens

  /// RSASSA-PKCS1-v1_5 with SHA-256. The algorithm is this line's, not the token's.
  bool verifies(std::string_view signed_part, std::string_view signature) const;
};

/// By key id. Never changed once made, so all loops share it.
using KeySet = std::unordered_map<std::string, VerificationKey>;

enum class Owners : std::uint8_t { users, services };

/// Reads an RFC 7517 set. Keys of another type, use or algorithm are passed over, as section 5
/// wants; one that calls itself ours and is broken or too short spoils the set. Of services: every
/// key names its `service`. Empty when this is no usable set.
std::optional<KeySet> parse_jwks(std::string_view text, Owners owners);

/// RFC 7638 over the required members.
std::string thumbprint(const std::string& n, const std::string& e);

/// A token taken apart; nothing in it is believed yet.
struct CompactToken {
  std::string key_id;
  std::string type;
  std::string signed_part;
  std::string payload;
  std::string signature;
};

/// Empty unless it has three parts, a header that says RS256 with a key id and no critical
/// extension, and no odd byte of base64url.
std::optional<CompactToken> parse_token(std::string_view token);

struct ClaimsJson {
  std::string iss;
  std::string aud;
  std::string sub;
  std::int64_t exp = 0;
  std::optional<std::int64_t> iat;
  std::optional<std::string> jti;
  std::optional<std::string> sid;
  std::optional<std::vector<std::string>> roles;
  std::optional<std::string> scope;  ///< space-separated, RFC 8693 section 4.2
};

}  // namespace stoa::auth::detail
