#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/async/loops.hpp"
#include "servicekit/core/secret.hpp"
#include "servicekit/core/time.hpp"
#include "servicekit/core/type_id.hpp"
#include "servicekit/http/client.hpp"
#include "servicekit/http/server.hpp"

// Tokens: RS256 JSON Web Tokens (RFC 7519, 7515, 8725). The algorithm belongs to the key, never to
// the token's header, so `alg: none` and HS/RS confusion are impossible.
namespace stoa::auth {

/// Claims of a user's access token; a service token carries only subject, audience and expiry.
struct Claims {
  std::string subject;    ///< usr_… or the name of a service
  std::string session{};  ///< ses_…, "" for a service
  std::string audience;
  std::string issuer;
  std::string token_id{};
  std::vector<std::string> roles{};
  std::vector<std::string> scopes{};
  Instant issued_at{};
  Instant expires_at{};
};

/// A new RSA key of 2048 bits, PKCS 8 as PEM. About 100 ms of CPU.
Secret<> generate_private_key();

/// Signs with one private key (PEM). The key id is the RFC 7638 thumbprint of its public half.
class Signer {
 public:
  /// Throws std::runtime_error when this is no RSA private key of at least 2048 bits.
  explicit Signer(const Secret<>& private_key_pem);
  ~Signer();
  Signer(Signer&&) noexcept;
  Signer& operator=(Signer&&) noexcept;

  /// A compact JWS. `typ` is "at+jwt" (RFC 9068) for claims with a session, "service+jwt" without.
  /// About 0.6 ms of CPU. Thread-safe.
  std::string sign(const Claims& claims) const;
  const std::string& key_id() const;
  std::string public_jwk() const;  ///< one JSON object with kty, n, e, kid, alg, use

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Mints this service's own tokens for internal calls: `aud` = the callee, 10 min, cached until two
/// minutes before their end.
class ServiceTokens {
 public:
  ServiceTokens(std::string service, Secret<> private_key_pem);
  ~ServiceTokens();
  /// A ready header line "authorization: Bearer …\r\n".
  std::string authorization_for(const std::string& callee);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The sessions that ended before their access tokens do, oldest first.
struct Revocations {
  struct Session {
    SessionId id;
    Instant revoked_at{};
  };
  Instant now{};  ///< of the clock that `revoked_at` is told by
  std::vector<Session> sessions;
  bool more = false;  ///< a page is full: ask on after its last session
};

/// Where a Verifier learns the public keys of user tokens and the revoked sessions.
class KeySource {
 public:
  virtual ~KeySource() = default;
  /// The text of the JSON Web Key Set. Throws Unavailable.
  virtual Task<std::string> jwks(Context context) = 0;
  /// Sessions revoked at or after `since`; without it, of the last 16 min. With `after`, only what
  /// follows that session of the page before. Throws Unavailable.
  virtual Task<Revocations> revocations(Context context, std::optional<Instant> since,
                                        std::optional<SessionId> after) = 0;
};

struct VerifierConfig {
  std::string service;            ///< our name: the audience that internal callers must name
  std::string issuer = "stoa";    ///< of user tokens; their audience is "stoa"
  std::string service_jwks_path;  ///< the mounted public keys of all services
  std::chrono::seconds leeway{60};
  std::size_t cached_tokens_max = 20'000;  ///< per loop, about 0.4 KB each
  std::chrono::milliseconds revocations_every{2'000};
  std::chrono::milliseconds jwks_every{300'000};
  std::chrono::milliseconds unknown_key_every{5'000};  ///< at most so often for an unknown kid
};

/// Verifies bearer tokens of users (keys from user-service's /.well-known/jwks.json, kept while it
/// is unreachable) and of services. Keeps the sessions revoked in the last 16 min, asked from GET
/// /internal/v1/revocations?since= every 2 s; user-service unreachable: the last list stands and
/// the metric stoa_revocations_age_seconds rises. Until both have been fetched once, user tokens
/// are answered by Unavailable; service tokens need neither.
class Verifier final : public http::Authenticator {
 public:
  /// `users` reaches user-service. Throws std::runtime_error when the service keys cannot be read.
  Verifier(Loops& loops, VerifierConfig config, http::Client& users, ServiceTokens& own_tokens,
           telemetry::Telemetry& telemetry);
  /// With keys from elsewhere: user-service has them itself. `keys` must outlive the loops' run.
  Verifier(Loops& loops, VerifierConfig config, KeySource& keys, telemetry::Telemetry& telemetry);
  ~Verifier() override;

  /// Starts the refresh tasks; the first fetch is retried until it succeeds. Does not wait.
  void start();

  /// Errors: token_invalid, token_expired, session_revoked (all unauthenticated). A verified token
  /// costs a look-up until it expires. Waits only for keys, when it names one that is not known.
  /// Throws Unavailable when keys or revocations were never fetched, or the key is not known and
  /// user-service does not answer.
  Task<Result<http::Identity>> authenticate(Context context, std::string_view token) override;

  /// Waits until keys and revocations were fetched once.
  Task<> prepared() override;

 private:
  struct Impl;
  Verifier(Loops& loops, VerifierConfig config, std::unique_ptr<KeySource> owned, KeySource* keys,
           telemetry::Telemetry& telemetry);
  std::shared_ptr<Impl> impl_;
};

}  // namespace stoa::auth
