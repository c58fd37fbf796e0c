#include "services/user-service/app/sessions.hpp"

#include <utility>

namespace stoa::user {
namespace {

std::unexpected<Error> invalid_credentials() {
  return refuse(ErrorKind::unauthenticated, "invalid_credentials",
                "the e-mail address or the password is wrong");
}

std::unexpected<Error> invalid_refresh_token() {
  return refuse(ErrorKind::unauthenticated, "refresh_token_invalid",
                "the refresh token is unknown, used up, or of a session that has ended");
}

}  // namespace

Sessions::Sessions(UserStore& store, Credentials& credentials, Sources sources)
    : store_{store}, credentials_{credentials}, sources_{std::move(sources)} {}

Task<Result<SignedIn>> Sessions::login(Context context, Login login) {
  // What is no address has no account, and takes the same way.
  const std::string email = normalised_email(login.email).value_or("");
  auto record = co_await store_.find_login(context, email);
  // All that are none share one count, which locks nobody.
  const auto lock = email.empty() ? std::chrono::seconds{0} : locked_for(record.failures);
  if (lock.count() > 0) {
    Error locked{.kind = ErrorKind::too_many,
                 .code = "account_locked",
                 .detail = "too many failed logins; try again later"};
    locked.retry_after = lock;
    co_return std::unexpected(std::move(locked));
  }

  std::optional<PasswordHash> hash;
  if (record.account) hash = record.account->password;
  const bool right = co_await credentials_.matches(context, std::move(hash), login.password);
  if (!right || !record.account) {
    co_await store_.record_failure(context, email);
    co_return invalid_credentials();
  }

  const User user = std::move(record.account->user);
  const SessionId session = sources_.next_id();
  const Secret<> refresh_token = credentials_.new_refresh_token();
  NewSession opened{.id = session, .token = credentials_.hash_of(refresh_token)};
  co_await store_.open_session(context, user.id, user.email, std::move(opened));
  const Grant grant{.user = user.id, .session = session, .role = user.role};
  auto access_token = co_await credentials_.access_token(context, grant);
  co_return SignedIn{
      .user = user, .access_token = std::move(access_token), .refresh_token = refresh_token};
}

Task<Result<SignedIn>> Sessions::refresh(Context context, Secret<> refresh_token) {
  const Secret<> successor = credentials_.successor_of(refresh_token);
  TokenHash presented_hash = credentials_.hash_of(refresh_token);
  TokenHash successor_hash = credentials_.hash_of(successor);
  const auto presented =
      co_await store_.rotate(context, std::move(presented_hash), std::move(successor_hash));
  if (!presented) co_return invalid_refresh_token();

  switch (judge(presented->token)) {
    case RefreshVerdict::rotated:
    case RefreshVerdict::repeated:
      break;
    case RefreshVerdict::over:
      co_return invalid_refresh_token();
    case RefreshVerdict::reused:
      sources_.on_reuse(context, {.user = presented->user.id, .session = presented->id});
      co_await store_.end_session(context, presented->id, EndReason::token_reused);
      co_return invalid_refresh_token();
  }
  const Grant grant{
      .user = presented->user.id, .session = presented->id, .role = presented->user.role};
  auto access_token = co_await credentials_.access_token(context, grant);
  co_return SignedIn{
      .user = presented->user, .access_token = std::move(access_token), .refresh_token = successor};
}

Task<> Sessions::logout(Context context, Secret<> refresh_token) {
  TokenHash hash = credentials_.hash_of(refresh_token);
  co_await store_.end_session_of(context, std::move(hash));
}

Task<> Sessions::logout_all(Context context, UserId user) {
  co_await store_.end_sessions(context, user, std::nullopt, EndReason::logout_all);
}

}  // namespace stoa::user
