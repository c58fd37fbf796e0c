#pragma once

#include <functional>
#include <string>

#include "services/user-service/app/ports.hpp"

namespace stoa::user {

/// What a client holds after it has shown who it is.
struct SignedIn {
  User user;
  std::string access_token;
  Secret<> refresh_token;
};

struct Login {
  std::string email;
  Secret<> password;
};

/// A refresh token was used again after its successor: somebody has a copy.
struct ReuseSeen {
  UserId user;
  SessionId session;
};

/// How users come and go. Stateless and shared by every event loop; the collaborators must outlive
/// it.
class Sessions {
 public:
  struct Sources {
    std::function<SessionId()> next_id;
    std::function<void(const Context&, const ReuseSeen&)> on_reuse;  ///< for the log; does not wait
  };

  Sessions(UserStore& store, Credentials& credentials, Sources sources);

  /// Errors: invalid_credentials (unauthenticated), the same for an unknown address and a wrong
  /// password, after the same work; account_locked (too_many, with retry_after), for addresses
  /// without an account too.
  Task<Result<SignedIn>> login(Context context, Login login);

  /// Rotates. A twin or a repeat within refresh_grace gets the same refresh token again.
  /// Errors: refresh_token_invalid (unauthenticated). A reuse ends the session.
  Task<Result<SignedIn>> refresh(Context context, Secret<> refresh_token);

  /// Ends the session of the token, if there is one.
  Task<> logout(Context context, Secret<> refresh_token);

  Task<> logout_all(Context context, UserId user);

 private:
  UserStore& store_;
  Credentials& credentials_;
  Sources sources_;
};

}  // namespace stoa::user
