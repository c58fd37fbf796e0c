#include <array>

#include <sodium.h>

#include "servicekit/core/require.hpp"
#include "servicekit/crypto/crypto.hpp"

namespace stoa::crypto {
namespace {

// The least that OWASP's password storage guide asks of Argon2id: 19 MiB, 2 passes, 1 lane.
constexpr unsigned long long passes = 2;
constexpr std::size_t memory_bytes = std::size_t{19'456} * 1'024;

void start_sodium() {
  static const int started = sodium_init();
  require(started >= 0, "libsodium starts");
}

}  // namespace

std::string hash_password(const Secret<>& password) {
  start_sodium();
  std::array<char, crypto_pwhash_argon2id_STRBYTES> phc{};
  const std::string& text = password.reveal();
  const int failed =
      crypto_pwhash_argon2id_str(phc.data(), text.data(), text.size(), passes, memory_bytes);
  require(failed == 0, "there are 19 MiB for a password hash");
  return phc.data();
}

bool verify_password(const std::string& phc, const Secret<>& password) {
  start_sodium();
  const std::string& text = password.reveal();
  // 1 means other parameters: an older hash, still good. -1 means that this is no Argon2id hash,
  // and then the same work is done, so that time does not tell a broken row from a wrong password.
  if (phc.size() >= crypto_pwhash_argon2id_STRBYTES ||
      crypto_pwhash_argon2id_str_needs_rehash(phc.c_str(), passes, memory_bytes) == -1) {
    (void)hash_password(password);
    return false;
  }
  return crypto_pwhash_argon2id_str_verify(phc.c_str(), text.data(), text.size()) == 0;
}

}  // namespace stoa::crypto
