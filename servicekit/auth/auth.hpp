#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "servicekit/async/loops.hpp"
#include "servicekit/core/secret.hpp"
#include "servicekit/core/time.hpp"
#include "servicekit/http/client.hpp"
#include "servicekit/http/server.hpp"

// Tokens: RS256 JSON Web Tokens (RFC 7519, 7515, 8725). The algorithm belongs to the key, never to
// the token's header, so `alg: none` and HS/RS confusion are impossible.
namespace stoa::auth {

/// Claims of a user's access token; a service token carries only subject, audience and expiry.
struct Claims {
  std::string subject;  ///< usr_… or the name of a service
  std::string session;  ///< ses_…, "" for a service
  std::string audience;
  std::string issuer;
  std::string token_id;
  std::vector<std::string> roles;
  std::vector<std::string> scopes;
  Instant issued_at{};
  Instant expires_at{};
};

/// Signs with one private key (PEM). The key id is the RFC 7638 thumbprint of its public half.
class Signer {
 public:
  explicit Signer(const Secret<>& private_key_pem);
  ~Signer();
  Signer(Signer&&) noexcept;
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

struct VerifierConfig {
  std::string service;            ///< our name: the audience that internal callers must name
  std::string issuer = "stoa";    ///< of user tokens; their audience is "stoa"
  std::string service_jwks_path;  ///< the mounted public keys of all services
  std::chrono::seconds leeway{60};
  std::size_t cached_tokens_max = 50'000;  ///< per loop
  std::chrono::milliseconds revocations_every{2'000};
  std::chrono::milliseconds jwks_every{
      300'000};  ///< sooner, at most once in 5 s, on an unknown kid
};

/// Verifies bearer tokens of users (keys from user-service's /.well-known/jwks.json, kept while it
/// is unreachable) and of services. Keeps the sessions revoked in the last 16 min, asked from GET
/// /internal/v1/revocations?since= every 2 s; user-service unreachable: the last list stands and
/// the metric stoa_revocations_age_seconds rises.
class Verifier final : public http::Authenticator {
 public:
  /// `users` reaches user-service.
  Verifier(Loops& loops, VerifierConfig config, http::Client& users, ServiceTokens& own_tokens,
           telemetry::Telemetry& telemetry);
  ~Verifier() override;

  /// Starts the refresh tasks on each loop; the first fetch is retried until it succeeds.
  void start();

  Task<Result<http::Identity>> authenticate(Context context, std::string_view token) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stoa::auth
