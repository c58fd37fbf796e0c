#include "servicekit/auth/jwt.hpp"

#include <format>
#include <vector>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "servicekit/core/encoding.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/json/json.hpp"

namespace stoa::auth::detail {
namespace {

template <auto F>
struct Free {
  void operator()(auto* pointer) const { F(pointer); }
};
using Number = std::unique_ptr<BIGNUM, Free<BN_free>>;
using ParameterBuilder = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;

constexpr std::size_t header_bytes_max = 1'024;
constexpr std::size_t key_id_bytes_max = 128;

struct JwkJson {
  std::string kty;
  std::optional<std::string> use;
  std::optional<std::string> alg;
  std::optional<std::string> kid;
  std::optional<std::string> n;
  std::optional<std::string> e;
  std::optional<std::string> service;
};

struct JwksJson {
  std::vector<JwkJson> keys;
};

struct HeaderJson {
  std::string alg;
  std::string kid;
  std::optional<std::string> typ;
  std::optional<json::Raw> crit;
};

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Number number(std::string_view big_endian) {
  return Number{BN_bin2bn(bytes(big_endian), static_cast<int>(big_endian.size()), nullptr)};
}

Key rsa_key(std::string_view modulus, std::string_view exponent) {
  const Number n = number(modulus);
  const Number e = number(exponent);
  if (BN_num_bits(n.get()) < key_bits_min || BN_is_odd(e.get()) == 0 || BN_num_bits(e.get()) < 2) {
    return nullptr;
  }
  const ParameterBuilder builder{OSSL_PARAM_BLD_new()};
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  const Parameters parameters{OSSL_PARAM_BLD_to_param(builder.get())};
  const KeyContext context{EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr)};
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  return Key{key};
}

bool is_ours(const JwkJson& jwk) {
  return jwk.kty == "RSA" && jwk.use.value_or("sig") == "sig" &&
         jwk.alg.value_or("RS256") == "RS256";
}

}  // namespace

bool VerificationKey::verifies(std::string_view signed_part, std::string_view signature) const {
  const DigestContext context{EVP_MD_CTX_new()};
  return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(signed_part),
                          signed_part.size()) == 1;
}

std::optional<KeySet> parse_jwks(std::string_view text, Owners owners) {
  const auto set = json::read_lenient<JwksJson>(text);
  if (!set || set->keys.size() > jwks_keys_max) return std::nullopt;
  KeySet keys;
  for (const JwkJson& jwk : set->keys) {
    if (!is_ours(jwk)) continue;
    const auto n = parse_base64url(jwk.n.value_or("!"));
    const auto e = parse_base64url(jwk.e.value_or("!"));
    if (!n || !e) return std::nullopt;
    VerificationKey key{.key = rsa_key(*n, *e), .service = {}};
    if (key.key == nullptr) return std::nullopt;
    if (owners == Owners::services) {
      if (!jwk.service || jwk.service->empty()) return std::nullopt;
      key.service = *jwk.service;
    }
    keys.insert_or_assign(jwk.kid.value_or(thumbprint(*jwk.n, *jwk.e)), std::move(key));
  }
  return keys;
}

std::string thumbprint(const std::string& n, const std::string& e) {
  const auto digest = crypto::sha256(std::format(R"({{"e":"{}","kty":"RSA","n":"{}"}})", e, n));
  return base64url({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::optional<CompactToken> parse_token(std::string_view token) {
  if (token.size() > token_bytes_max) return std::nullopt;
  const auto first = token.find('.');
  const auto last = token.rfind('.');
  if (first == std::string_view::npos || first == last) return std::nullopt;
  const std::string_view header_part = token.substr(0, first);
  const std::string_view payload_part = token.substr(first + 1, last - first - 1);
  if (header_part.size() > header_bytes_max || payload_part.contains('.')) return std::nullopt;

  const auto header_text = parse_base64url(header_part);
  auto payload = parse_base64url(payload_part);
  auto signature = parse_base64url(token.substr(last + 1));
  if (!header_text || !payload || !signature) return std::nullopt;
  auto header = json::read_lenient<HeaderJson>(*header_text);
  if (!header || header->alg != "RS256" || header->crit) return std::nullopt;
  if (header->kid.empty() || header->kid.size() > key_id_bytes_max) return std::nullopt;
  return CompactToken{.key_id = std::move(header->kid),
                      .type = header->typ.value_or(""),
                      .signed_part = std::string{token.substr(0, last)},
                      .payload = std::move(*payload),
                      .signature = std::move(*signature)};
}

}  // namespace stoa::auth::detail
