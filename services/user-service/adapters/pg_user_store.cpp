#include "services/user-service/adapters/pg_user_store.hpp"

#include <utility>

#include "servicekit/crypto/crypto.hpp"

#include "services/user-service/adapters/pg_session_queries.hpp"
#include "services/user-service/adapters/user_events.hpp"

namespace stoa::user {

using namespace queries;

namespace {

using postgres::param;
using postgres::Query;
using postgres::Row;

postgres::Param optional_text(const std::optional<std::string>& text) { return param(text); }

postgres::Param traceparent_of(const Context& context) {
  if (!context.trace.valid()) return nullptr;
  return context.trace.traceparent();
}

// Columns: id, email, name, role, created_at in milliseconds, version.
User user_in(const Row& row, int first) {
  return {.id = UserId{row.uuid(first)},
          .email = std::string{row.text(first + 1)},
          .name = std::string{row.text(first + 2)},
          .role = parse_role(row.text(first + 3)).value_or(Role::customer),
          .created_at = row.instant(first + 4),
          .version = row.number(first + 5)};
}

// First of a transaction that may take an address: who comes second sees what the first has done,
// instead of a broken constraint.
Query lock_address(const std::string& email) {
  return {.name = "user.lock_address",
          .read_only = false,
          .sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
          .params = {email}};
}

Query insert_user(const User& user, const PasswordHash& password, const NewSession& session,
                  const postgres::Param& traceparent) {
  return {.name = "user.insert",
          .read_only = false,
          .sql = R"sql(
            WITH added AS (
              INSERT INTO users (id, email, name, password_hash, role, created_at)
              VALUES ($1, $2, $3, $4, $5, $6)
              ON CONFLICT (email) DO NOTHING
              RETURNING id, version
            ), opened AS (
              INSERT INTO sessions (id, user_id, expires_at)
              SELECT $7, id, now() + $8 * interval '1 second' FROM added
              RETURNING id
            ), given AS (
              INSERT INTO refresh_tokens (hash, session_id) SELECT $9, id FROM opened
            ), told AS (
              INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent)
              SELECT $10, 'user.registered', $11, version, $12, $13 FROM added
            )
            SELECT id FROM added
          )sql",
          .params = {param(user.id.uuid), user.email, user.name, password.value,
                     std::string{name(user.role)}, param(user.created_at), param(session.id.uuid),
                     std::int64_t{std::chrono::seconds{session_idle_max}.count()},
                     bytea(session.token.value), param(crypto::new_uuid()), user.id.str(),
                     user_event(user.id), traceparent}};
}

Query select_user(UserId id) {
  return {.name = "user.find",
          .read_only = true,
          .sql = R"sql(
            SELECT id, email, name, role, (extract(epoch FROM created_at) * 1000)::bigint, version
            FROM users WHERE id = $1 AND erased_at IS NULL
          )sql",
          .params = {param(id.uuid)}};
}

Query select_password(UserId id) {
  return {.name = "user.find_password",
          .read_only = true,
          .sql = "SELECT password_hash FROM users WHERE id = $1 AND erased_at IS NULL",
          .params = {param(id.uuid)}};
}

Query select_login(const std::string& email) {
  return {.name = "user.find_login",
          .read_only = true,
          .sql = R"sql(
            SELECT u.id, u.email, u.name, u.role,
                   (extract(epoch FROM u.created_at) * 1000)::bigint, u.version, u.password_hash,
                   coalesce(f.failures, 0),
                   coalesce((extract(epoch FROM now() - f.last_failed_at) * 1000)::bigint, 0)
            FROM (VALUES (1)) AS always (one)
            LEFT JOIN users u ON u.email = $1
            LEFT JOIN login_failures f ON f.account = $2
          )sql",
          .params = {email, account_key(email)}};
}

// A taken address yields no row and no error: whether it is taken or the user is gone is told by
// what else is selected.
Query update_user(UserId id, const UserChange& change, const std::optional<std::int64_t>& version) {
  std::optional<std::string> password;
  if (change.password) password = change.password->value;
  return {.name = "user.update",
          .read_only = false,
          .sql = R"sql(
            WITH before AS (
              SELECT id, version,
                     EXISTS (SELECT FROM users o WHERE o.email = $2 AND o.id <> u.id) AS taken
              FROM users u WHERE id = $1 AND erased_at IS NULL
            ), changed AS (
              UPDATE users u
              SET email = coalesce($2, email), name = coalesce($3, name),
                  password_hash = coalesce($4, password_hash),
                  version = u.version + 1, updated_at = now()
              FROM before b
              WHERE u.id = b.id AND NOT b.taken AND u.erased_at IS NULL
                AND u.version = coalesce($5, u.version)
              RETURNING u.id, u.email, u.name, u.role, u.created_at, u.version
            )
            SELECT b.taken, c.id IS NULL, c.id, c.email, c.name, c.role,
                   (extract(epoch FROM c.created_at) * 1000)::bigint, c.version
            FROM before b LEFT JOIN changed c ON c.id = b.id
          )sql",
          .params = {param(id.uuid), optional_text(change.email), optional_text(change.name),
                     optional_text(password), param(version)}};
}

Query erase_user(UserId id, const postgres::Param& traceparent) {
  return {.name = "user.erase",
          .read_only = false,
          .sql = R"sql(
            WITH erased AS (
              UPDATE users
              SET email = NULL, name = NULL, password_hash = NULL, role = 'customer',
                  version = version + 1, updated_at = now(), erased_at = now()
              WHERE id = $1 AND erased_at IS NULL
              RETURNING id, version
            ), ended AS (
              UPDATE sessions s SET ended_at = now(), end_reason = $2
              FROM erased e WHERE s.user_id = e.id AND s.ended_at IS NULL
            ), told AS (
              INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent)
              SELECT $3, 'user.deleted', $4, version, $5, $6 FROM erased
            )
            SELECT id FROM erased
          )sql",
          .params = {param(id.uuid), std::string{name(EndReason::erased)},
                     param(crypto::new_uuid()), id.str(), user_event(id), traceparent}};
}

Query update_role(const std::string& email, Role role) {
  return {.name = "user.set_role",
          .read_only = false,
          .sql = R"sql(
            UPDATE users SET role = $2, version = version + 1, updated_at = now()
            WHERE email = $1
            RETURNING id
          )sql",
          .params = {email, std::string{name(role)}}};
}

}  // namespace

Task<bool> PgUserStore::insert(Context context, User user, PasswordHash password,
                               NewSession session) {
  std::vector<Query> queries{lock_address(user.email),
                             insert_user(user, password, session, traceparent_of(context))};
  const auto results = co_await database_.run_all(std::move(context), std::move(queries));
  co_return !results.back().empty();
}

Task<std::optional<User>> PgUserStore::find(Context context, UserId id) {
  const auto rows = co_await database_.run(std::move(context), select_user(id));
  if (rows.empty()) co_return std::nullopt;
  co_return user_in(rows.front(), 0);
}

Task<std::optional<PasswordHash>> PgUserStore::find_password(Context context, UserId id) {
  const auto rows = co_await database_.run(std::move(context), select_password(id));
  if (rows.empty()) co_return std::nullopt;
  co_return PasswordHash{std::string{rows.front().text(0)}};
}

Task<LoginRecord> PgUserStore::find_login(Context context, std::string email) {
  const auto rows = co_await database_.run(std::move(context), select_login(email));
  const Row row = rows.front();
  LoginRecord record{
      .account = std::nullopt,
      .failures = {.count = row.number(7), .since_last = std::chrono::milliseconds{row.number(8)}}};
  if (!row.is_null(0)) {
    record.account = {.user = user_in(row, 0), .password = PasswordHash{std::string{row.text(6)}}};
  }
  co_return record;
}

Task<> PgUserStore::record_failure(Context context, std::string email) {
  co_await database_.run(std::move(context), insert_failure(email));
}

Task<> PgUserStore::open_session(Context context, UserId user, std::string email,
                                 NewSession session) {
  co_await database_.run(std::move(context), insert_session(user, email, session));
}

Task<std::optional<PresentedSession>> PgUserStore::rotate(Context context, TokenHash token,
                                                          TokenHash successor) {
  const auto rows = co_await database_.run(std::move(context), rotate_token(token, successor));
  if (rows.empty()) co_return std::nullopt;
  const Row row = rows.front();
  co_return PresentedSession{.id = SessionId{row.uuid(6)},
                             .user = user_in(row, 0),
                             .token = {.rotated = row.flag(7),
                                       .ended = row.flag(8),
                                       .expired = row.flag(9),
                                       .since_replaced = std::chrono::milliseconds{row.number(10)},
                                       .successor_used = row.flag(11)}};
}

Task<> PgUserStore::end_session_of(Context context, TokenHash token) {
  co_await database_.run(std::move(context), end_by_token(token));
}

Task<> PgUserStore::end_session(Context context, SessionId id, EndReason reason) {
  co_await database_.run(std::move(context), end_by_id(id, reason));
}

Task<> PgUserStore::end_sessions(Context context, UserId user, std::optional<SessionId> except,
                                 EndReason reason) {
  co_await database_.run(std::move(context), end_by_user(user, except, reason));
}

Task<Result<User>> PgUserStore::update(Context context, UserId id, UserChange change,
                                       std::optional<std::int64_t> version) {
  std::vector<Query> queries;
  if (change.email) queries.push_back(lock_address(*change.email));
  queries.push_back(update_user(id, change, version));
  const auto results = co_await database_.run_all(std::move(context), std::move(queries));
  const auto& rows = results.back();
  if (rows.empty()) {
    co_return refuse(ErrorKind::not_found, "user_not_found", "there is no such user");
  }
  const Row row = rows.front();
  if (row.flag(0)) {
    co_return refuse(ErrorKind::conflict, "email_taken", "there is an account with this address",
                     {{.pointer = "/email", .code = "email_taken", .detail = "choose another"}});
  }
  if (row.flag(1)) {
    co_return refuse(ErrorKind::precondition_failed, "etag_mismatch",
                     "the user was changed since it was read");
  }
  co_return user_in(row, 2);
}

Task<bool> PgUserStore::erase(Context context, UserId id) {
  auto query = erase_user(id, traceparent_of(context));
  const auto rows = co_await database_.run(std::move(context), std::move(query));
  co_return !rows.empty();
}

Task<RevokedSessions> PgUserStore::revoked(Context context, std::optional<Instant> since,
                                           std::optional<SessionId> after) {
  const auto rows = co_await database_.run(std::move(context), select_revoked(since, after));
  RevokedSessions revoked{.now = rows.front().instant(0), .sessions = {}};
  for (const Row row : rows) {
    if (row.is_null(1)) break;
    revoked.sessions.push_back({.id = SessionId{row.uuid(1)}, .revoked_at = row.instant(2)});
  }
  revoked.more = std::cmp_equal(revoked.sessions.size(), revoked_sessions_max);
  co_return revoked;
}

Task<bool> PgUserStore::set_role(Context context, std::string email, Role role) {
  const auto rows = co_await database_.run(std::move(context), update_role(email, role));
  co_return !rows.empty();
}

Task<bool> PgUserStore::purge(Context context) {
  const auto sessions = co_await database_.run(context, purge_sessions());
  const auto tokens = co_await database_.run(context, purge_tokens());
  const auto failures = co_await database_.run(context, purge_failures());
  co_return sessions.affected() == purged_rows_max || tokens.affected() == purged_rows_max ||
      failures.affected() == purged_rows_max;
}

}  // namespace stoa::user
