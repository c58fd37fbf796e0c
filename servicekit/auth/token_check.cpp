#include "servicekit/auth/token_check.hpp"

#include "servicekit/json/json.hpp"

namespace stoa::auth::detail {
namespace {

constexpr std::string_view user_audience = "stoa";
// The last second of the year 9999: beyond it no clock of ours can count in milliseconds safely.
constexpr std::int64_t expiry_max = 253'402'300'799;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const auto end = text.find(' ');
    if (end != 0) words.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return words;
}

std::optional<http::Identity> user_identity(ClaimsJson claims, const VerifierConfig& config) {
  if (claims.iss != config.issuer || claims.aud != user_audience) return std::nullopt;
  const auto user = UserId::parse(claims.sub);
  const auto session = SessionId::parse(claims.sid.value_or(""));
  if (!user || !session || !claims.roles || !claims.scope) return std::nullopt;
  return http::Identity{.kind = http::Identity::Kind::user,
                        .user = *user,
                        .session = *session,
                        .service = {},
                        .roles = std::move(*claims.roles),
                        .scopes = words_of(*claims.scope)};
}

std::optional<http::Identity> service_identity(const ClaimsJson& claims, const std::string& owner,
                                               const VerifierConfig& config) {
  // A service signs for itself alone, and for the one it calls.
  if (claims.iss != owner || claims.sub != owner || claims.aud != config.service) {
    return std::nullopt;
  }
  return http::Identity{.kind = http::Identity::Kind::service,
                        .user = {},
                        .session = {},
                        .service = owner,
                        .roles = {},
                        .scopes = {}};
}

}  // namespace

Error token_invalid() {
  return {.kind = ErrorKind::unauthenticated,
          .code = "token_invalid",
          .detail = "the token is malformed, not for us, or not signed by a key we know"};
}

Result<VerifiedToken> check_token(const CompactToken& token, const VerificationKey& key,
                                  const VerifierConfig& config) {
  const bool of_user = key.service.empty();
  if (token.type != (of_user ? user_token_type : service_token_type)) {
    return std::unexpected(token_invalid());
  }
  if (!key.verifies(token.signed_part, token.signature)) return std::unexpected(token_invalid());

  auto claims = json::read_lenient<ClaimsJson>(token.payload);
  if (!claims || claims->exp < 0 || claims->exp > expiry_max) {
    return std::unexpected(token_invalid());
  }
  const Instant expires_at{std::chrono::seconds{claims->exp}};
  auto identity = of_user ? user_identity(std::move(*claims), config)
                          : service_identity(*claims, key.service, config);
  if (!identity) return std::unexpected(token_invalid());
  return VerifiedToken{.identity = std::move(*identity), .expires_at = expires_at};
}

}  // namespace stoa::auth::detail
