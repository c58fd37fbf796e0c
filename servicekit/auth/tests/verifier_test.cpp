#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "servicekit/async/loops.hpp"
#include "servicekit/auth/auth.hpp"
#include "servicekit/auth/token_check.hpp"
#include "servicekit/core/encoding.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/json/json.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/run.hpp"

namespace stoa::auth {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 10s;

Instant now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

// Made once: a key takes a tenth of a second.
const Secret<>& key(std::size_t index) {
  static const std::array keys{generate_private_key(), generate_private_key(),
                               generate_private_key(), generate_private_key()};
  return keys[index];
}

std::string set_of(const std::vector<std::string>& jwks) {
  std::string text = "{\"keys\":[";
  for (const std::string& jwk : jwks) text += (text.back() == '[' ? "" : ",") + jwk;
  return text + "]}";
}

/// user-service as the verifier sees it.
class FakeKeys final : public KeySource {
 public:
  Task<std::string> jwks(Context) override {
    ++asked_for_keys;
    if (down) throw Unavailable{"down"};
    co_return keys;
  }
  Task<Revocations> revocations(Context, std::optional<Instant> since,
                                std::optional<SessionId>) override {
    ++asked_for_revocations;
    last_since = since;
    if (down) throw Unavailable{"down"};
    co_return Revocations{.now = now(), .sessions = revoked};
  }

  std::string keys;
  std::vector<Revocations::Session> revoked;
  std::optional<Instant> last_since;
  bool down = false;
  int asked_for_keys = 0;
  int asked_for_revocations = 0;
};

class VerifierTest : public testing::Test {
 protected:
  VerifierTest() {
    users.keys = set_of({user_signer.public_jwk()});
    write_service_keys(service_signer);
  }
  ~VerifierTest() override { std::filesystem::remove(path); }

  void write_service_keys(const Signer& signer) const {
    std::string jwk = signer.public_jwk();
    jwk.insert(jwk.size() - 1, R"(,"service":"order-service")");
    std::ofstream{path} << set_of({jwk});
  }

  Verifier& started() {
    verifier.emplace(loops,
                     VerifierConfig{.service = "user-service",
                                    .service_jwks_path = path,
                                    .revocations_every = 20ms,
                                    .unknown_key_every = 500ms},
                     users, telemetry);
    verifier->start();
    return *verifier;
  }

  /// The code of the refusal, "user", "service" or "unavailable".
  std::string outcome(const std::string& token) {
    try {
      const auto identity =
          testing_support::run_on(loops, verifier->authenticate(Context{}.within(5s), token));
      if (!identity) return std::string{identity.error().code};
      return identity->kind == http::Identity::Kind::user ? "user" : "service";
    } catch (const Unavailable&) {
      return "unavailable";
    }
  }

  /// The condition is looked at between two runs of the loop: it may itself run something there.
  void until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "waited in vain";
      testing_support::run_on(loops, sleep_for(5ms));
    }
  }
  void ready() {
    until([&] { return users.asked_for_keys > 0 && users.asked_for_revocations > 1; });
  }

  static Claims of_user(SessionId session = {crypto::new_uuid()}) {
    return {.subject = UserId{crypto::new_uuid()}.str(),
            .session = session.str(),
            .audience = "stoa",
            .issuer = "stoa",
            .token_id = "t",
            .roles = {"customer"},
            .scopes = {},
            .issued_at = now(),
            .expires_at = now() + 15min};
  }
  static Claims of_service(std::string callee = "user-service") {
    return {.subject = "order-service",
            .session = {},
            .audience = std::move(callee),
            .issuer = "order-service",
            .token_id = "t",
            .roles = {},
            .scopes = {},
            .issued_at = now(),
            .expires_at = now() + 10min};
  }

  std::string path =
      (std::filesystem::temp_directory_path() / ("stoa-jwks-" + crypto::new_uuid().str() + ".json"))
          .string();
  Signer user_signer{key(0)};
  Signer service_signer{key(1)};
  telemetry::Telemetry telemetry{{.service = "auth-test", .log_level = "off"}};
  Loops loops{1};
  FakeKeys users;
  std::optional<Verifier> verifier;
};

TEST_F(VerifierTest, KnowsAUserByTheirToken) {
  started();
  ready();
  Claims claims = of_user();
  claims.roles = {"staff", "customer"};
  claims.scopes = {"catalog:write", "orders:read_all"};
  const std::string token = user_signer.sign(claims);
  for (int i = 0; i < 2; ++i) {  // the second time from memory
    const auto identity = testing_support::run_on(loops, verifier->authenticate(Context{}, token));
    ASSERT_TRUE(identity);
    EXPECT_EQ(identity->kind, http::Identity::Kind::user);
    EXPECT_EQ(identity->user.str(), claims.subject);
    EXPECT_EQ(identity->session.str(), claims.session);
    EXPECT_EQ(identity->roles, claims.roles);
    EXPECT_EQ(identity->scopes, claims.scopes);
  }
}

TEST_F(VerifierTest, KnowsAServiceByItsToken) {
  started();
  const auto identity = testing_support::run_on(
      loops, verifier->authenticate(Context{}, service_signer.sign(of_service())));
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->kind, http::Identity::Kind::service);
  EXPECT_EQ(identity->service, "order-service");
}

TEST_F(VerifierTest, KeepsUsersAndServicesApart) {
  started();
  ready();
  EXPECT_EQ(outcome(user_signer.sign(of_service())), "token_invalid");
  EXPECT_EQ(outcome(service_signer.sign(of_user())), "token_invalid");
  EXPECT_EQ(outcome(service_signer.sign(of_service("payment-service"))), "token_invalid");
  EXPECT_EQ(outcome(service_signer.sign(of_service("stoa"))), "token_invalid");
  Claims other = of_service();
  other.subject = "payment-service";
  EXPECT_EQ(outcome(service_signer.sign(other)), "token_invalid");
  other.issuer = "payment-service";
  EXPECT_EQ(outcome(service_signer.sign(other)), "token_invalid");
}

TEST_F(VerifierTest, RefusesClaimsThatAreNotOurs) {
  started();
  ready();
  const auto outcome_with = [&](const std::function<void(Claims&)>& change) {
    Claims claims = of_user();
    change(claims);
    return outcome(user_signer.sign(claims));
  };
  EXPECT_EQ(outcome_with([](Claims&) {}), "user");
  EXPECT_EQ(outcome_with([](Claims& c) { c.audience = "another"; }), "token_invalid");
  EXPECT_EQ(outcome_with([](Claims& c) { c.audience = "user-service"; }), "token_invalid");
  EXPECT_EQ(outcome_with([](Claims& c) { c.issuer = "another"; }), "token_invalid");
  EXPECT_EQ(outcome_with([](Claims& c) { c.subject = "order-service"; }), "token_invalid");
  EXPECT_EQ(outcome_with([](Claims& c) { c.session = "ses_1"; }), "token_invalid");
}

TEST_F(VerifierTest, ComparesOnlyTheExpiryAndWithLeeway) {
  started();
  ready();
  Claims claims = of_user();
  claims.issued_at = now() + 1h;  // the clock of user-service may be ahead
  EXPECT_EQ(outcome(user_signer.sign(claims)), "user");
  claims.expires_at = now() - 50s;
  EXPECT_EQ(outcome(user_signer.sign(claims)), "user");
  claims.expires_at = now() - 62s;
  EXPECT_EQ(outcome(user_signer.sign(claims)), "token_expired");
}

TEST_F(VerifierTest, ForgetsATokenWhenItExpires) {
  started();
  ready();
  Claims claims = of_user();
  claims.expires_at = now() - 58s;
  const std::string token = user_signer.sign(claims);
  EXPECT_EQ(outcome(token), "user");
  until([&] { return outcome(token) == "token_expired"; });
}

std::string forged(std::string_view header, const std::string& payload,
                   const std::string& signature) {
  return base64url(header) + "." + base64url(payload) + "." + base64url(signature);
}

std::string payload_of(const std::string& token) { return detail::parse_token(token)->payload; }

TEST_F(VerifierTest, RefusesAnotherAlgorithmWhateverTheHeaderSays) {
  started();
  ready();
  const std::string good = user_signer.sign(of_user());
  const std::string payload = payload_of(good);
  for (const char* algorithm : {"none", "None", "HS256", "RS512", "PS256", "", "rs256"}) {
    const std::string header =
        std::format(R"({{"alg":"{}","typ":"at+jwt","kid":"{}"}})", algorithm, user_signer.key_id());
    EXPECT_EQ(outcome(forged(header, payload, "")), "token_invalid") << algorithm;
    // The public key as an HMAC secret: the confusion of RFC 8725 section 2.1.
    const std::string signed_part = base64url(header) + "." + base64url(payload);
    const auto mac = crypto::hmac_sha256(Secret<>{user_signer.public_jwk()}, signed_part);
    const std::string signature{reinterpret_cast<const char*>(mac.data()), mac.size()};
    EXPECT_EQ(outcome(forged(header, payload, signature)), "token_invalid") << algorithm;
  }
}

TEST_F(VerifierTest, RefusesAChangedOrBrokenToken) {
  started();
  ready();
  const std::string good = user_signer.sign(of_user());
  ASSERT_EQ(outcome(good), "user");
  const auto last_dot = good.rfind('.');
  const std::string header = good.substr(0, good.find('.'));
  const std::string signature = good.substr(last_dot + 1);

  Claims admin = of_user();
  admin.roles = {"admin"};
  const std::string of_admin = Signer{key(3)}.sign(admin);
  const std::string admin_payload =
      of_admin.substr(of_admin.find('.') + 1, of_admin.rfind('.') - of_admin.find('.') - 1);
  EXPECT_EQ(outcome(header + "." + admin_payload + "." + signature), "token_invalid");

  for (std::size_t length = 0; length < good.size(); length += 7) {
    EXPECT_EQ(outcome(good.substr(0, length)), "token_invalid") << length;
  }
  const std::vector<std::string> broken{good + "=",
                                        good + ".",
                                        "." + good,
                                        good + "A",
                                        "..",
                                        ".",
                                        "",
                                        std::string("a.b.c"),
                                        good.substr(0, last_dot) + ".!!!!",
                                        std::string(100'000, 'a'),
                                        std::string(5'000, '.'),
                                        good.substr(0, last_dot + 1) + std::string(6'000, 'A'),
                                        std::string("a\0b.c.d", 7)};
  for (const std::string& token : broken) {
    EXPECT_EQ(outcome(token), "token_invalid") << token.substr(0, 40);
  }
}

TEST_F(VerifierTest, RefusesAHeaderWithExtensionsItDoesNotKnow) {
  started();
  ready();
  const std::string header =
      std::format(R"({{"alg":"RS256","typ":"at+jwt","kid":"{}","crit":["b64"],"b64":false}})",
                  user_signer.key_id());
  EXPECT_EQ(outcome(forged(header, payload_of(user_signer.sign(of_user())), "x")), "token_invalid");
}

TEST_F(VerifierTest, LearnsANewKeyWhenATokenNamesIt) {
  started();
  ready();
  const Signer next{key(2)};
  const int asked = users.asked_for_keys;
  // Not again so soon after the last time: the key must have been published before it signs.
  users.keys = set_of({user_signer.public_jwk(), next.public_jwk()});
  EXPECT_EQ(outcome(next.sign(of_user())), "token_invalid");
  EXPECT_EQ(users.asked_for_keys, asked);
  until([&] { return outcome(next.sign(of_user())) == "user"; });
  EXPECT_EQ(users.asked_for_keys, asked + 1);
  EXPECT_EQ(outcome(user_signer.sign(of_user())), "user") << "the old key stands as well";
}

TEST_F(VerifierTest, DropsTheTokensOfAKeyThatIsWithdrawn) {
  started();
  ready();
  const Signer next{key(2)};
  const std::string old_token = user_signer.sign(of_user());
  ASSERT_EQ(outcome(old_token), "user");
  users.keys = set_of({next.public_jwk()});
  until([&] { return outcome(next.sign(of_user())) == "user"; });
  EXPECT_EQ(outcome(old_token), "token_invalid");
}

TEST_F(VerifierTest, StartsBeforeUserServiceAndSaysSo) {
  users.down = true;
  started();
  EXPECT_EQ(outcome(user_signer.sign(of_user())), "unavailable");
  EXPECT_EQ(outcome(service_signer.sign(of_service())), "service");
  users.down = false;
  testing_support::run_on(loops, verifier->prepared());
  EXPECT_EQ(outcome(user_signer.sign(of_user())), "user");
}

TEST_F(VerifierTest, KeepsWhatItKnowsWhileUserServiceIsAway) {
  const SessionId revoked{crypto::new_uuid()};
  users.revoked = {{.id = revoked, .revoked_at = now()}};
  started();
  ready();
  users.down = true;
  users.revoked.clear();
  const int asked = users.asked_for_revocations;
  until([&] { return users.asked_for_revocations > asked + 3; });
  EXPECT_EQ(outcome(user_signer.sign(of_user())), "user");
  EXPECT_EQ(outcome(user_signer.sign(of_user(revoked))), "session_revoked");
}

TEST_F(VerifierTest, RefusesARevokedSessionAlsoWhenItsTokenWasVerifiedBefore) {
  started();
  ready();
  const SessionId session{crypto::new_uuid()};
  const std::string token = user_signer.sign(of_user(session));
  EXPECT_EQ(outcome(token), "user");
  users.revoked = {{.id = session, .revoked_at = now()}};
  until([&] { return outcome(token) == "session_revoked"; });
  EXPECT_EQ(outcome(user_signer.sign(of_user())), "user");
}

TEST_F(VerifierTest, AsksOnlyForWhatIsNewAndALittleMore) {
  started();
  until([&] { return users.asked_for_revocations > 2; });
  ASSERT_TRUE(users.last_since);
  EXPECT_LT(*users.last_since, now() - 29s);
  EXPECT_GT(*users.last_since, now() - 40s);
}

TEST_F(VerifierTest, ForgetsARevocationWhenNoTokenCanBeLeft) {
  const SessionId session{crypto::new_uuid()};
  users.revoked = {{.id = session, .revoked_at = now() - 18min}};
  started();
  ready();
  EXPECT_EQ(outcome(user_signer.sign(of_user(session))), "user");
}

TEST_F(VerifierTest, ReadsTheServicesKeysAgainWhenTheFileChanges) {
  started();
  const Signer next{key(2)};
  ready();
  EXPECT_EQ(outcome(next.sign(of_service())), "token_invalid");
  std::ofstream{path} << "{ half a file";
  testing_support::run_on(loops, sleep_for(1'100ms));
  EXPECT_EQ(outcome(service_signer.sign(of_service())), "service") << "the last keys stand";
  write_service_keys(next);
  until([&] { return outcome(next.sign(of_service())) == "service"; });
  EXPECT_EQ(outcome(service_signer.sign(of_service())), "token_invalid");
}

TEST_F(VerifierTest, RefusesToBeMadeWithoutTheServicesKeys) {
  std::filesystem::remove(path);
  EXPECT_THROW(started(), std::runtime_error);
}

}  // namespace
}  // namespace stoa::auth
