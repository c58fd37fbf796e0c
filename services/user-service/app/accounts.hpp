#pragma once

#include <functional>
#include <optional>

#include "services/user-service/app/ports.hpp"
#include "services/user-service/app/sessions.hpp"

namespace stoa::user {

/// What a user does with their own account. Stateless and shared by every event loop; the
/// collaborators must outlive it.
class Accounts {
 public:
  struct Sources {
    std::function<UserId()> next_user;
    std::function<SessionId()> next_session;
    std::function<Instant()> now;
  };

  Accounts(UserStore& store, Credentials& credentials, Sources sources);

  /// Creates the account and signs it in. Errors: those of check_registration(); email_taken
  /// (conflict).
  Task<Result<SignedIn>> register_user(Context context, Registration wanted);

  /// Errors: user_not_found.
  Task<Result<User>> find(Context context, UserId id);

  struct Change {
    UserId user;
    SessionId session;  ///< goes on when the password changes; the others end
    WantedChange wanted;
    std::optional<std::int64_t> version;  ///< of If-Match
  };
  /// Errors: those of check_change() and UserStore::update(); wrong_password (invalid, at
  /// /current_password).
  Task<Result<User>> change(Context context, Change change);

  /// Errors: user_not_found.
  Task<Result<void>> erase(Context context, UserId id);

 private:
  Task<Result<void>> check_current_password(Context context, UserId id, Secret<> password);

  UserStore& store_;
  Credentials& credentials_;
  Sources sources_;
};

}  // namespace stoa::user
