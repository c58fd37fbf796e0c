#include <span>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "servicekit/core/require.hpp"
#include "servicekit/crypto/crypto.hpp"

namespace stoa::crypto {
namespace {

// Fetched once: EVP_sha256() looks the algorithm up again at every digest.
const EVP_MD* sha256_method() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return method;
}

void append_length(std::string& out, std::size_t length) {
  for (unsigned shift = 64; shift > 0; shift -= 8) {
    out += static_cast<char>((std::uint64_t{length} >> (shift - 8)) & 0xFFU);
  }
}

}  // namespace

Digest sha256(std::string_view bytes) {
  Digest digest{};
  unsigned size = 0;
  const int ok =
      EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, sha256_method(), nullptr);
  require(ok == 1 && size == digest.size(), "SHA-256 is always there");
  return digest;
}

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();

  State() {
    const bool ok = context != nullptr && EVP_DigestInit_ex(context, sha256_method(), nullptr) == 1;
    require(ok, "SHA-256 is always there");
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_{std::make_unique<State>()} {}
Sha256::~Sha256() = default;

void Sha256::add(std::string_view bytes) {
  const int ok = EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
  require(ok == 1, "a digest takes any bytes");
}

Digest Sha256::digest() {
  Digest digest{};
  unsigned size = 0;
  const int ok = EVP_DigestFinal_ex(state_->context, digest.data(), &size);
  require(ok == 1 && size == digest.size(), "a digest is asked for once");
  return digest;
}

Digest hmac_sha256(const Secret<>& key, std::string_view bytes) {
  Digest digest{};
  unsigned size = 0;
  const std::string& secret = key.reveal();
  const auto* made = HMAC(sha256_method(), secret.data(), static_cast<int>(secret.size()),
                          reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                          digest.data(), &size);
  require(made != nullptr && size == digest.size(), "HMAC-SHA-256 is always there");
  return digest;
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Uuid name_based_uuid(std::initializer_list<std::string_view> parts) {
  std::string named;
  for (const std::string_view part : parts) {
    append_length(named, part.size());
    named += part;
  }
  const Digest digest = sha256(named);
  return uuid_v8(std::span{digest}.first<16>());
}

}  // namespace stoa::crypto
