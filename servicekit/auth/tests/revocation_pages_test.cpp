#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/async/loops.hpp"
#include "servicekit/auth/auth.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/run.hpp"

namespace stoa::auth {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t page_max = 2;

Instant now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

/// A user-service that tells two sessions an answer.
class PagedKeys final : public KeySource {
 public:
  explicit PagedKeys(const Signer& signer) : keys_{"{\"keys\":[" + signer.public_jwk() + "]}"} {}

  Task<std::string> jwks(Context) override { co_return keys_; }

  Task<Revocations> revocations(Context, std::optional<Instant>,
                                std::optional<SessionId> after) override {
    Revocations page{.now = now(), .sessions = revoked};
    if (after) {
      const auto last = std::ranges::find(page.sessions, *after, &Revocations::Session::id);
      page.sessions.erase(page.sessions.begin(), std::next(last));
    }
    page.more = page.sessions.size() >= page_max;
    page.sessions.resize(std::min(page.sessions.size(), page_max));
    co_return page;
  }

  std::vector<Revocations::Session> revoked;

 private:
  std::string keys_;
};

// All ended in one instant: no time tells where the next page begins.
TEST(RevocationPages, AreReadToTheEnd) {
  const Signer signer{generate_private_key()};
  PagedKeys users{signer};
  const Instant then = now();
  for (int i = 0; i < 6; ++i) {
    users.revoked.push_back({.id = SessionId{crypto::new_uuid()}, .revoked_at = then});
  }
  Loops loops{1};
  telemetry::Telemetry telemetry{{.service = "user-service", .log_level = "off"}};
  Verifier verifier{loops,
                    {.service = "user-service", .service_jwks_path = {}, .revocations_every = 20ms},
                    users,
                    telemetry};
  verifier.start();

  const auto outcome = [&](SessionId session) {
    const Claims claims{.subject = UserId{crypto::new_uuid()}.str(),
                        .session = session.str(),
                        .audience = "stoa",
                        .issuer = "stoa",
                        .token_id = "t",
                        .roles = {"customer"},
                        .scopes = {},
                        .issued_at = now(),
                        .expires_at = now() + 15min};
    const std::string token = signer.sign(claims);
    const auto identity =
        testing_support::run_on(loops, verifier.authenticate(Context{}.within(5s), token));
    return identity ? std::string{"user"} : std::string{identity.error().code};
  };
  testing_support::run_on(loops, verifier.prepared());
  EXPECT_EQ(outcome(users.revoked.front().id), "session_revoked");
  EXPECT_EQ(outcome(users.revoked.back().id), "session_revoked");
  EXPECT_EQ(outcome(SessionId{crypto::new_uuid()}), "user");
}

}  // namespace
}  // namespace stoa::auth
