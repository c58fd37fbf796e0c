#pragma once

#include <optional>
#include <string>
#include <vector>

#include "servicekit/postgres/database.hpp"

#include "services/user-service/app/ports.hpp"

namespace stoa::user {

/// Users and sessions in PostgreSQL.
class PgUserStore final : public UserStore {
 public:
  explicit PgUserStore(postgres::Database& database) : database_{database} {}

  Task<bool> insert(Context context, User user, PasswordHash password, NewSession session) override;
  Task<std::optional<User>> find(Context context, UserId id) override;
  Task<std::optional<PasswordHash>> find_password(Context context, UserId id) override;
  Task<LoginRecord> find_login(Context context, std::string email) override;
  Task<> record_failure(Context context, std::string email) override;
  Task<> open_session(Context context, UserId user, std::string email, NewSession session) override;
  Task<std::optional<PresentedSession>> rotate(Context context, TokenHash token,
                                               TokenHash successor) override;
  Task<> end_session_of(Context context, TokenHash token) override;
  Task<> end_session(Context context, SessionId id, EndReason reason) override;
  Task<> end_sessions(Context context, UserId user, std::optional<SessionId> except,
                      EndReason reason) override;
  Task<Result<User>> update(Context context, UserId id, UserChange change,
                            std::optional<std::int64_t> version) override;
  Task<bool> erase(Context context, UserId id) override;
  Task<RevokedSessions> revoked(Context context, std::optional<Instant> since,
                                std::optional<SessionId> after) override;
  Task<bool> set_role(Context context, std::string email, Role role) override;
  Task<bool> purge(Context context) override;

 private:
  postgres::Database& database_;
};

}  // namespace stoa::user
