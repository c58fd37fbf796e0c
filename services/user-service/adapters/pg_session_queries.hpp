#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "servicekit/postgres/database.hpp"

#include "services/user-service/app/ports.hpp"

// The statements about sessions, their tokens and failed logins, for pg_user_store.cpp.
namespace stoa::user::queries {

inline constexpr std::int64_t revoked_sessions_max = 20'000;  ///< in one answer
inline constexpr std::int64_t purged_rows_max = 1'000;        ///< of a table in one step

/// A value of type bytea as text.
std::string bytea(std::string_view bytes);
/// What failures of an address are counted under.
std::string account_key(const std::string& email);

postgres::Query insert_failure(const std::string& email);
postgres::Query insert_session(UserId user, const std::string& email, const NewSession& session);
postgres::Query rotate_token(const TokenHash& token, const TokenHash& successor);
postgres::Query end_by_token(const TokenHash& token);
postgres::Query end_by_id(SessionId id, EndReason reason);
postgres::Query end_by_user(UserId user, const std::optional<SessionId>& except, EndReason reason);
postgres::Query select_revoked(const std::optional<Instant>& since,
                               const std::optional<SessionId>& after);
postgres::Query purge_sessions();
postgres::Query purge_tokens();
postgres::Query purge_failures();

}  // namespace stoa::user::queries
