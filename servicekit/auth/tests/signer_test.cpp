#include <thread>

#include <gtest/gtest.h>

#include "servicekit/auth/auth.hpp"
#include "servicekit/auth/jwt.hpp"
#include "servicekit/core/encoding.hpp"

namespace stoa::auth {
namespace {

// RFC 7638 section 3.1.
TEST(Thumbprint, AgreesWithTheStandard) {
  EXPECT_EQ(detail::thumbprint(
                "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFF"
                "xuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lq"
                "t7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu"
                "6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksI"
                "NHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
                "AQAB"),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

TEST(Signer, SignsWhatItsPublicHalfVerifies) {
  const Signer signer{generate_private_key()};
  Claims claims{.subject = "usr_x", .session = "ses_x", .audience = "stoa", .issuer = "stoa"};
  claims.roles = {"customer"};
  claims.scopes = {"a:b", "c:d"};
  const std::string token = signer.sign(claims);

  const auto parsed = detail::parse_token(token);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->key_id, signer.key_id());
  EXPECT_EQ(parsed->type, "at+jwt");
  EXPECT_NE(parsed->payload.find(R"("roles":["customer"],"scope":"a:b c:d")"), std::string::npos);
  const auto keys =
      detail::parse_jwks("{\"keys\":[" + signer.public_jwk() + "]}", detail::Owners::users);
  ASSERT_TRUE(keys);
  const auto& key = keys->at(signer.key_id());
  EXPECT_TRUE(key.verifies(parsed->signed_part, parsed->signature));
  EXPECT_FALSE(key.verifies(parsed->signed_part + "x", parsed->signature));
}

TEST(Signer, RefusesAKeyItCannotUse) {
  EXPECT_THROW(Signer{Secret<>{std::string{"no key"}}}, std::runtime_error);
  EXPECT_THROW(Signer{Secret<>{std::string{}}}, std::runtime_error);
}

TEST(ServiceTokens, KeepsOneTokenForEachCallee) {
  ServiceTokens tokens{"order-service", generate_private_key()};
  const std::string first = tokens.authorization_for("payment-service");
  EXPECT_TRUE(first.starts_with("authorization: Bearer "));
  EXPECT_TRUE(first.ends_with("\r\n"));
  EXPECT_EQ(tokens.authorization_for("payment-service"), first);
  EXPECT_NE(tokens.authorization_for("user-service"), first);
}

TEST(Jwks, PassesOverForeignKeysAndRefusesBrokenOnes) {
  const Signer signer{generate_private_key()};
  const auto set = [](const std::string& keys) {
    return detail::parse_jwks("{\"keys\":[" + keys + "]}", detail::Owners::users);
  };
  EXPECT_EQ(
      set(signer.public_jwk() + R"(,{"kty":"EC","crv":"P-256"},{"kty":"oct","k":"AAAA"})")->size(),
      1U);
  EXPECT_EQ(set(R"({"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"})")->size(), 0U);
  EXPECT_FALSE(set(R"({"kty":"RSA","n":"AQAB","e":"AQAB"})")) << "a key of 17 bits";
  EXPECT_FALSE(set(R"({"kty":"RSA","n":"***","e":"AQAB"})"));
  EXPECT_FALSE(detail::parse_jwks("[]", detail::Owners::users));
  EXPECT_FALSE(
      detail::parse_jwks("{\"keys\":[" + signer.public_jwk() + "]}", detail::Owners::services))
      << "a key of services names its service";
}

}  // namespace
}  // namespace stoa::auth
