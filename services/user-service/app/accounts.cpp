#include "services/user-service/app/accounts.hpp"

#include <utility>

namespace stoa::user {
namespace {

std::unexpected<Error> not_found() {
  return refuse(ErrorKind::not_found, "user_not_found", "there is no such user");
}

}  // namespace

Accounts::Accounts(UserStore& store, Credentials& credentials, Sources sources)
    : store_{store}, credentials_{credentials}, sources_{std::move(sources)} {}

Task<Result<SignedIn>> Accounts::register_user(Context context, Registration wanted) {
  const auto accepted = check_registration(wanted);
  if (!accepted) co_return std::unexpected(accepted.error());

  const User user{.id = sources_.next_user(),
                  .email = accepted->email,
                  .name = accepted->name,
                  .role = Role::customer,
                  .created_at = sources_.now(),
                  .version = 1};
  auto password = co_await credentials_.hash(context, Secret<>{accepted->password});
  const SessionId session = sources_.next_session();
  const Secret<> refresh_token = credentials_.new_refresh_token();
  NewSession opened{.id = session, .token = credentials_.hash_of(refresh_token)};
  const bool first = co_await store_.insert(context, user, std::move(password), std::move(opened));
  if (!first) {
    co_return refuse(ErrorKind::conflict, "email_taken", "there is an account with this address",
                     {{.pointer = "/email", .code = "email_taken", .detail = "choose another"}});
  }
  const Grant grant{.user = user.id, .session = session, .role = user.role};
  auto access_token = co_await credentials_.access_token(context, grant);
  co_return SignedIn{
      .user = user, .access_token = std::move(access_token), .refresh_token = refresh_token};
}

Task<Result<User>> Accounts::find(Context context, UserId id) {
  auto user = co_await store_.find(context, id);
  if (!user) co_return not_found();
  co_return std::move(*user);
}

Task<Result<User>> Accounts::change(Context context, Change change) {
  auto wanted = check_change(change.wanted);
  if (!wanted) co_return std::unexpected(wanted.error());

  UserChange written{
      .email = std::move(wanted->email), .name = std::move(wanted->name), .password = std::nullopt};
  if (written.email || wanted->password) {
    auto shown =
        co_await check_current_password(context, change.user, Secret<>{*wanted->current_password});
    if (!shown) co_return std::unexpected(shown.error());
  }
  if (wanted->password) {
    written.password = co_await credentials_.hash(context, Secret<>{*wanted->password});
  }
  const bool new_password = written.password.has_value();
  auto updated = co_await store_.update(context, change.user, std::move(written), change.version);
  if (!updated) co_return std::unexpected(updated.error());
  if (new_password) {
    co_await store_.end_sessions(context, change.user, change.session, EndReason::password_changed);
  }
  co_return std::move(*updated);
}

Task<Result<void>> Accounts::check_current_password(Context context, UserId id, Secret<> password) {
  auto hash = co_await store_.find_password(context, id);
  const bool right = co_await credentials_.matches(context, std::move(hash), std::move(password));
  if (right) co_return Result<void>{};
  co_return refuse(
      ErrorKind::invalid, "wrong_password", "the current password is another",
      {{.pointer = "/current_password", .code = "wrong_password", .detail = "try again"}});
}

Task<Result<void>> Accounts::erase(Context context, UserId id) {
  const bool erased = co_await store_.erase(context, id);
  if (!erased) co_return not_found();
  co_return Result<void>{};
}

}  // namespace stoa::user
