#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "servicekit/async/context.hpp"
#include "servicekit/async/task.hpp"
#include "servicekit/core/error.hpp"
#include "servicekit/core/secret.hpp"
#include "servicekit/core/strong.hpp"
#include "servicekit/core/type_id.hpp"

#include "services/user-service/domain/account.hpp"
#include "services/user-service/domain/session.hpp"

// What the use cases need from outside the process. Nothing else gets an interface.
namespace stoa::user {

/// SHA-256 of a refresh token: all that is kept of it.
using TokenHash = Strong<struct TokenHashTag, std::string>;
using PasswordHash = Strong<struct PasswordHashTag, std::string>;

struct NewSession {
  SessionId id;
  TokenHash token;
};

/// What a login needs to know, for addresses without an account too.
struct LoginRecord {
  struct Account {
    User user;
    PasswordHash password;
  };
  std::optional<Account> account;
  Failures failures;
};

/// A refresh token as it was found, with whose it is.
struct PresentedSession {
  SessionId id;
  User user;
  PresentedToken token;
};

/// What is written over a user; absent stays.
struct UserChange {
  std::optional<std::string> email;
  std::optional<std::string> name;
  std::optional<PasswordHash> password;
};

struct RevokedSession {
  SessionId id;
  Instant revoked_at{};
};

struct RevokedSessions {
  Instant now{};  ///< ask for what is revoked since then the next time
  std::vector<RevokedSession> sessions;
  bool more = false;  ///< the answer is full: what follows its last session is another one
};

/// Users and their sessions. Times are those of the store. Every call waits on the store and throws
/// Unavailable when it cannot answer in time.
class UserStore {
 public:
  virtual ~UserStore() = default;

  /// The user, a first session and the event user.registered, all or nothing. False when the
  /// address is taken.
  virtual Task<bool> insert(Context context, User user, PasswordHash password,
                            NewSession session) = 0;

  virtual Task<std::optional<User>> find(Context context, UserId id) = 0;
  virtual Task<std::optional<PasswordHash>> find_password(Context context, UserId id) = 0;
  virtual Task<LoginRecord> find_login(Context context, std::string email) = 0;

  virtual Task<> record_failure(Context context, std::string email) = 0;
  /// Also forgets the failures of `email`.
  virtual Task<> open_session(Context context, UserId user, std::string email,
                              NewSession session) = 0;

  /// Replaces `token` by `successor` if it is the live token of a live session, and tells what it
  /// is in any case. Empty for a token that never was.
  virtual Task<std::optional<PresentedSession>> rotate(Context context, TokenHash token,
                                                       TokenHash successor) = 0;
  /// Ends the session that a token belongs to. Nothing happens for an unknown one.
  virtual Task<> end_session_of(Context context, TokenHash token) = 0;
  /// Nothing happens when it has ended before.
  virtual Task<> end_session(Context context, SessionId id, EndReason reason) = 0;
  virtual Task<> end_sessions(Context context, UserId user, std::optional<SessionId> except,
                              EndReason reason) = 0;

  /// Errors: user_not_found; email_taken (conflict); etag_mismatch (precondition_failed) when
  /// `version` is given and the user has another.
  virtual Task<Result<User>> update(Context context, UserId id, UserChange change,
                                    std::optional<std::int64_t> version) = 0;

  /// Takes everything personal away, ends the sessions and tells user.deleted, all or nothing.
  /// False when there is no such user (any more).
  virtual Task<bool> erase(Context context, UserId id) = 0;

  /// Sessions ended at or after `since`, oldest first; at most as many as one answer carries. Never
  /// further back than revocation_memory, which is also what comes without `since`. With `after`,
  /// only what follows that session of an earlier answer: many end in the same instant.
  virtual Task<RevokedSessions> revoked(Context context, std::optional<Instant> since,
                                        std::optional<SessionId> after) = 0;

  /// False when no account has this address.
  virtual Task<bool> set_role(Context context, std::string email, Role role) = 0;

  /// Forgets what retention says, a bounded number of rows. True when there may be more.
  virtual Task<bool> purge(Context context) = 0;
};

inline constexpr std::chrono::minutes revocation_memory{16};

/// Who an access token is for.
struct Grant {
  UserId user;
  SessionId session;
  Role role = Role::customer;
};

/// Passwords and tokens.
class Credentials {
 public:
  virtual ~Credentials() = default;

  /// Waits for a thread that may take 25 ms; throws Unavailable when too many wait already.
  virtual Task<PasswordHash> hash(Context context, Secret<> password) = 0;
  /// The same work whether or not there is a hash to compare with; false without one.
  virtual Task<bool> matches(Context context, std::optional<PasswordHash> hash,
                             Secret<> password) = 0;

  /// 256 random bits.
  virtual Secret<> new_refresh_token() = 0;
  /// Always the same for the same token, and unpredictable to whoever has only that.
  virtual Secret<> successor_of(const Secret<>& refresh_token) = 0;
  virtual TokenHash hash_of(const Secret<>& refresh_token) = 0;

  /// A signed token for access_token_lifetime. Throws Unavailable without a signing key.
  virtual Task<std::string> access_token(Context context, Grant grant) = 0;
};

}  // namespace stoa::user
