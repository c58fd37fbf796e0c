#include "services/user-service/adapters/pg_session_queries.hpp"

#include "servicekit/core/encoding.hpp"
#include "servicekit/crypto/crypto.hpp"

namespace stoa::user::queries {

using postgres::param;
using postgres::Query;

std::string bytea(std::string_view bytes) {
  return "\\x" + hex({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

// Failures are counted by the digest of an address, since most addresses that fail are not ours to
// keep.
std::string account_key(const std::string& email) {
  return "\\x" + hex(crypto::sha256("login:" + email));
}

Query insert_failure(const std::string& email) {
  return {
      .name = "user.record_failure",
      .read_only = false,
      .sql = R"sql(
            INSERT INTO login_failures AS f (account, failures) VALUES ($1, 1)
            ON CONFLICT (account) DO UPDATE
            SET failures = CASE WHEN f.last_failed_at < now() - $2 * interval '1 second'
                                THEN 1 ELSE f.failures + 1 END,
                last_failed_at = now()
          )sql",
      .params = {account_key(email), std::int64_t{std::chrono::seconds{failures_memory}.count()}}};
}

Query insert_session(UserId user, const std::string& email, const NewSession& session) {
  return {.name = "user.open_session",
          .read_only = false,
          .sql = R"sql(
            WITH opened AS (
              INSERT INTO sessions (id, user_id, expires_at)
              VALUES ($1, $2, now() + $3 * interval '1 second')
              RETURNING id
            ), forgiven AS (
              DELETE FROM login_failures WHERE account = $5
            )
            INSERT INTO refresh_tokens (hash, session_id) SELECT $4, id FROM opened
          )sql",
          .params = {param(session.id.uuid), param(user.uuid),
                     std::int64_t{std::chrono::seconds{session_idle_max}.count()},
                     bytea(session.token.value), account_key(email)}};
}

// One statement, so that of two twins one waits for the other at the token's row, finds it replaced
// and changes nothing. `presented` is what was there before: for the twin that lost, a token that
// seems never replaced and yet was not rotated.
Query rotate_token(const TokenHash& token, const TokenHash& successor) {
  return {.name = "user.rotate",
          .read_only = false,
          .sql = R"sql(
            WITH presented AS (
              SELECT t.hash, t.session_id, t.replaced_at, s.ended_at, s.expires_at,
                     u.id, u.email, u.name, u.role, u.created_at, u.version
              FROM refresh_tokens t
              JOIN sessions s ON s.id = t.session_id
              JOIN users u ON u.id = s.user_id
              WHERE t.hash = $1
            ), rotated AS (
              UPDATE refresh_tokens t SET replaced_at = now()
              FROM presented p
              WHERE t.hash = p.hash AND t.replaced_at IS NULL
                AND p.ended_at IS NULL AND p.expires_at > now()
              RETURNING t.session_id
            ), given AS (
              INSERT INTO refresh_tokens (hash, session_id) SELECT $2, session_id FROM rotated
            ), prolonged AS (
              UPDATE sessions s SET expires_at = now() + $3 * interval '1 second'
              FROM rotated r WHERE s.id = r.session_id
            )
            SELECT p.id, coalesce(p.email, ''), coalesce(p.name, ''), p.role,
                   (extract(epoch FROM p.created_at) * 1000)::bigint, p.version, p.session_id,
                   EXISTS (SELECT FROM rotated), p.ended_at IS NOT NULL, p.expires_at <= now(),
                   coalesce((extract(epoch FROM now() - p.replaced_at) * 1000)::bigint, 0),
                   EXISTS (SELECT FROM refresh_tokens n
                           WHERE n.hash = $2 AND n.replaced_at IS NOT NULL)
            FROM presented p
          )sql",
          .params = {bytea(token.value), bytea(successor.value),
                     std::int64_t{std::chrono::seconds{session_idle_max}.count()}}};
}

Query end_by_token(const TokenHash& token) {
  return {.name = "user.end_session_of_token",
          .read_only = false,
          .sql = R"sql(
            UPDATE sessions s SET ended_at = now(), end_reason = $2
            FROM refresh_tokens t
            WHERE t.hash = $1 AND s.id = t.session_id AND s.ended_at IS NULL
          )sql",
          .params = {bytea(token.value), std::string{name(EndReason::logout)}}};
}

Query end_by_id(SessionId id, EndReason reason) {
  return {.name = "user.end_session",
          .read_only = false,
          .sql = R"sql(
            UPDATE sessions SET ended_at = now(), end_reason = $2
            WHERE id = $1 AND ended_at IS NULL
          )sql",
          .params = {param(id.uuid), std::string{name(reason)}}};
}

Query end_by_user(UserId user, const std::optional<SessionId>& except, EndReason reason) {
  return {.name = "user.end_sessions",
          .read_only = false,
          .sql = R"sql(
            UPDATE sessions SET ended_at = now(), end_reason = $3
            WHERE user_id = $1 AND ended_at IS NULL AND id IS DISTINCT FROM $2::uuid
          )sql",
          .params = {param(user.uuid), except ? param(except->uuid) : postgres::Param{nullptr},
                     std::string{name(reason)}}};
}

Query select_revoked(const std::optional<Instant>& since, const std::optional<SessionId>& after) {
  return {.name = "user.revoked_sessions",
          .read_only = true,
          .sql = R"sql(
            SELECT (extract(epoch FROM now()) * 1000)::bigint, s.id,
                   (extract(epoch FROM s.ended_at) * 1000)::bigint
            FROM (VALUES (1)) AS always (one)
            LEFT JOIN LATERAL (
              SELECT id, ended_at FROM sessions
              WHERE ended_at >= greatest($1::timestamptz, now() - $2 * interval '1 second')
                AND ($4::uuid IS NULL
                     OR (ended_at, id) > (SELECT a.ended_at, a.id FROM sessions a WHERE a.id = $4))
              ORDER BY ended_at, id LIMIT $3
            ) s ON true
          )sql",
          .params = {since ? param(*since) : postgres::Param{nullptr},
                     std::int64_t{std::chrono::seconds{revocation_memory}.count()},
                     revoked_sessions_max, after ? param(after->uuid) : postgres::Param{nullptr}}};
}

// Of sessions that ended, or ran out, 30 days ago; their tokens go with them.
Query purge_sessions() {
  return {.name = "user.purge_sessions",
          .read_only = false,
          .sql = R"sql(
            DELETE FROM sessions WHERE id IN (
              SELECT id FROM sessions
              WHERE ended_at < now() - interval '30 days' OR expires_at < now() - interval '30 days'
              LIMIT $1 FOR UPDATE SKIP LOCKED)
          )sql",
          .params = {purged_rows_max}};
}

Query purge_tokens() {
  return {.name = "user.purge_tokens",
          .read_only = false,
          .sql = R"sql(
            DELETE FROM refresh_tokens WHERE hash IN (
              SELECT hash FROM refresh_tokens WHERE replaced_at < now() - $2 * interval '1 second'
              LIMIT $1 FOR UPDATE SKIP LOCKED)
          )sql",
          .params = {purged_rows_max,
                     std::int64_t{std::chrono::seconds{replaced_token_memory}.count()}}};
}

Query purge_failures() {
  return {.name = "user.purge_failures",
          .read_only = false,
          .sql = R"sql(
            DELETE FROM login_failures WHERE account IN (
              SELECT account FROM login_failures
              WHERE last_failed_at < now() - $2 * interval '1 second'
              LIMIT $1 FOR UPDATE SKIP LOCKED)
          )sql",
          .params = {purged_rows_max, std::int64_t{std::chrono::seconds{failures_memory}.count()}}};
}

}  // namespace stoa::user::queries
