#include <format>
#include <utility>

#include "servicekit/auth/auth.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/json/json.hpp"

// The keys and revocations as user-service tells them over HTTP. Apart from verifier.cpp, so that
// user-service, which has them itself, needs no HTTP client.
namespace stoa::auth {
namespace {

struct RevokedSessionJson {
  std::string sid;
  std::string revoked_at;
};

struct RevocationsJson {
  std::string now;
  std::vector<RevokedSessionJson> sessions;
  std::optional<bool> more;  // absent: of a user-service that knows no pages
};

Revocations to_revocations(const RevocationsJson& wire) {
  const auto now = parse_rfc3339(wire.now);
  if (!now) throw Unavailable{"user-service told its revocations with a time we cannot read"};
  Revocations revocations{.now = *now, .sessions = {}, .more = wire.more.value_or(false)};
  for (const RevokedSessionJson& session : wire.sessions) {
    const auto id = SessionId::parse(session.sid);
    const auto revoked_at = parse_rfc3339(session.revoked_at);
    if (!id || !revoked_at) throw Unavailable{"user-service told a session we cannot read"};
    revocations.sessions.push_back({.id = *id, .revoked_at = *revoked_at});
  }
  return revocations;
}

class UserServiceKeys final : public KeySource {
 public:
  UserServiceKeys(http::Client& users, ServiceTokens& own_tokens)
      : users_{users}, own_tokens_{own_tokens} {}

  Task<std::string> jwks(Context context) override {
    http::ClientRequest request{.target = "/.well-known/jwks.json", .idempotent = true};
    auto response = co_await users_.send(std::move(context), std::move(request));
    if (response.status != 200) throw Unavailable{"user-service does not tell its keys"};
    co_return std::move(response.body);
  }

  Task<Revocations> revocations(Context context, std::optional<Instant> since,
                                std::optional<SessionId> after) override {
    http::ClientRequest request{.target = "/internal/v1/revocations",
                                .headers = own_tokens_.authorization_for("user-service"),
                                .idempotent = true};
    if (since) request.target += std::format("?since={}", rfc3339(*since));
    if (after) request.target += std::format("{}after={}", since ? '&' : '?', after->str());
    const auto response = co_await users_.send(std::move(context), std::move(request));
    if (response.status != 200) throw Unavailable{"user-service does not tell its revocations"};
    const auto wire = json::read_lenient<RevocationsJson>(response.body);
    if (!wire) throw Unavailable{"user-service told its revocations in another form"};
    co_return to_revocations(*wire);
  }

 private:
  http::Client& users_;
  ServiceTokens& own_tokens_;
};

}  // namespace

Verifier::Verifier(Loops& loops, VerifierConfig config, http::Client& users,
                   ServiceTokens& own_tokens, telemetry::Telemetry& telemetry)
    : Verifier{loops, std::move(config), std::make_unique<UserServiceKeys>(users, own_tokens),
               nullptr, telemetry} {}

}  // namespace stoa::auth
