#include <array>
#include <stdexcept>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "servicekit/auth/auth.hpp"
#include "servicekit/auth/jwt.hpp"
#include "servicekit/core/encoding.hpp"
#include "servicekit/core/require.hpp"
#include "servicekit/json/json.hpp"

namespace stoa::auth {
namespace {

using detail::Key;

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
struct FreeNumber {
  void operator()(BIGNUM* number) const { BN_free(number); }
};
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;

struct HeaderJson {
  std::string alg = "RS256";
  std::string typ;
  std::string kid;
};

struct PublicJwkJson {
  std::string kty = "RSA";
  std::string n;
  std::string e;
  std::string kid;
  std::string alg = "RS256";
  std::string use = "sig";
};

Key read_private_key(const Secret<>& pem) {
  const std::string& text = pem.reveal();
  const Bio bio{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
  // A password call-back that gives none: an encrypted key must not make a server ask a terminal.
  const auto no_password = [](char*, int, int, void*) { return 0; };
  Key key{PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr)};
  if (key == nullptr || EVP_PKEY_is_a(key.get(), "RSA") != 1 ||
      EVP_PKEY_get_bits(key.get()) < detail::key_bits_min) {
    throw std::runtime_error{"this is no RSA private key of 2048 bits or more in PEM form"};
  }
  return key;
}

std::string public_number(const Key& key, const char* name) {
  BIGNUM* raw = nullptr;
  require(EVP_PKEY_get_bn_param(key.get(), name, &raw) == 1, "an RSA key has its public numbers");
  const std::unique_ptr<BIGNUM, FreeNumber> number{raw};
  std::string big_endian(static_cast<std::size_t>(BN_num_bytes(number.get())), '\0');
  BN_bn2bin(number.get(), reinterpret_cast<unsigned char*>(big_endian.data()));
  return base64url(big_endian);
}

std::int64_t seconds(Instant instant) {
  return std::chrono::floor<std::chrono::seconds>(instant).time_since_epoch().count();
}

std::optional<std::string> when_there(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return text;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ' ';
    text += word;
  }
  return text;
}

std::string payload_of(const Claims& claims) {
  detail::ClaimsJson wire{.iss = claims.issuer,
                          .aud = claims.audience,
                          .sub = claims.subject,
                          .exp = seconds(claims.expires_at),
                          .iat = seconds(claims.issued_at),
                          .jti = when_there(claims.token_id),
                          .sid = when_there(claims.session),
                          .roles = std::nullopt,
                          .scope = std::nullopt};
  if (!claims.session.empty()) {
    wire.roles = claims.roles;
    wire.scope = joined(claims.scopes);
  }
  return json::write(wire);
}

}  // namespace

struct Signer::Impl {
  Key key;
  std::string key_id;
  PublicJwkJson jwk;
};

Secret<> generate_private_key() {
  const Key key{EVP_RSA_gen(detail::key_bits_min)};
  require(key != nullptr, "OpenSSL generates a key");
  const Bio bio{BIO_new(BIO_s_mem())};
  require(PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                        nullptr) == 1,
          "OpenSSL writes its own key");
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return Secret<>{std::string{text, static_cast<std::size_t>(size)}};
}

Signer::Signer(const Secret<>& private_key_pem) : impl_{std::make_unique<Impl>()} {
  impl_->key = read_private_key(private_key_pem);
  impl_->jwk.n = public_number(impl_->key, OSSL_PKEY_PARAM_RSA_N);
  impl_->jwk.e = public_number(impl_->key, OSSL_PKEY_PARAM_RSA_E);
  impl_->key_id = detail::thumbprint(impl_->jwk.n, impl_->jwk.e);
  impl_->jwk.kid = impl_->key_id;
}

Signer::~Signer() = default;
Signer::Signer(Signer&&) noexcept = default;
Signer& Signer::operator=(Signer&&) noexcept = default;

std::string Signer::sign(const Claims& claims) const {
  const HeaderJson header{.typ = std::string{claims.session.empty() ? detail::service_token_type
                                                                    : detail::user_token_type},
                          .kid = impl_->key_id};
  std::string token = base64url(json::write(header));
  token += '.';
  token += base64url(payload_of(claims));

  const std::unique_ptr<EVP_MD_CTX, FreeContext> context{EVP_MD_CTX_new()};
  std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_size(impl_->key.get()));
  std::string signature(size, '\0');
  const bool ok =
      EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, impl_->key.get()) == 1 &&
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     reinterpret_cast<const unsigned char*>(token.data()), token.size()) == 1;
  require(ok, "a good key signs");
  signature.resize(size);
  token += '.';
  token += base64url(signature);
  return token;
}

const std::string& Signer::key_id() const { return impl_->key_id; }

std::string Signer::public_jwk() const { return json::write(impl_->jwk); }

}  // namespace stoa::auth
