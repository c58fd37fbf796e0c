#include <memory>

#include <openssl/evp.h>

#include "servicekit/core/require.hpp"
#include "servicekit/crypto/crypto.hpp"

namespace stoa::crypto {
namespace {

constexpr std::size_t key_bytes = 32;
constexpr std::size_t nonce_bytes = 12;
constexpr std::size_t tag_bytes = 16;

struct Free {
  void operator()(EVP_CIPHER_CTX* cipher) const { EVP_CIPHER_CTX_free(cipher); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, Free>;

const unsigned char* in(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* out(std::string& text, std::size_t offset = 0) {
  return reinterpret_cast<unsigned char*>(text.data()) + offset;
}
int length(std::string_view text) { return static_cast<int>(text.size()); }

}  // namespace

std::string seal(const Secret<>& key, std::string_view plain, std::string_view context) {
  require(key.reveal().size() == key_bytes, "an AES-256 key has 32 bytes");
  const std::string nonce = random_bytes(nonce_bytes);
  std::string sealed = nonce;
  sealed.resize(nonce_bytes + plain.size() + tag_bytes);

  const Cipher cipher{EVP_CIPHER_CTX_new()};
  int written = 0;
  const bool ok =
      EVP_EncryptInit_ex2(cipher.get(), EVP_aes_256_gcm(), in(key.reveal()), in(nonce), nullptr) ==
          1 &&
      EVP_EncryptUpdate(cipher.get(), nullptr, &written, in(context), length(context)) == 1 &&
      EVP_EncryptUpdate(cipher.get(), out(sealed, nonce_bytes), &written, in(plain),
                        length(plain)) == 1 &&
      EVP_EncryptFinal_ex(cipher.get(), out(sealed, nonce_bytes + plain.size()), &written) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, int{tag_bytes},
                          out(sealed, nonce_bytes + plain.size())) == 1;
  require(ok, "AES-256-GCM is always there");
  return sealed;
}

std::optional<std::string> open_sealed(const Secret<>& key, std::string_view sealed,
                                       std::string_view context) {
  require(key.reveal().size() == key_bytes, "an AES-256 key has 32 bytes");
  if (sealed.size() < nonce_bytes + tag_bytes) return std::nullopt;
  const std::string_view nonce = sealed.substr(0, nonce_bytes);
  const std::string_view body = sealed.substr(nonce_bytes, sealed.size() - nonce_bytes - tag_bytes);
  std::string tag{sealed.substr(sealed.size() - tag_bytes)};
  std::string plain(body.size(), '\0');

  const Cipher cipher{EVP_CIPHER_CTX_new()};
  int written = 0;
  const bool ok =
      EVP_DecryptInit_ex2(cipher.get(), EVP_aes_256_gcm(), in(key.reveal()), in(nonce), nullptr) ==
          1 &&
      EVP_DecryptUpdate(cipher.get(), nullptr, &written, in(context), length(context)) == 1 &&
      EVP_DecryptUpdate(cipher.get(), out(plain), &written, in(body), length(body)) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, int{tag_bytes}, out(tag)) == 1 &&
      EVP_DecryptFinal_ex(cipher.get(), out(plain, plain.size()), &written) == 1;
  if (!ok) return std::nullopt;
  return plain;
}

}  // namespace stoa::crypto
