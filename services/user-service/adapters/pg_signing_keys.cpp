#include "services/user-service/adapters/pg_signing_keys.hpp"

#include <algorithm>
#include <utility>

#include "servicekit/core/encoding.hpp"

namespace stoa::user {
namespace {

using postgres::Query;

std::string bytea(const std::string& bytes) {
  return "\\x" + hex({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

// The sealed key is binary: it travels as base64, whose line ends PostgreSQL adds are removed.
Query select_keys() {
  return {.name = "user.signing_keys",
          .read_only = true,
          .sql = R"sql(
            SELECT (extract(epoch FROM now()) * 1000)::bigint, generation, kid, public_jwk,
                   rtrim(translate(encode(private_sealed, 'base64'), E'+/\n', '-_'), '='),
                   (extract(epoch FROM signs_from) * 1000)::bigint
            FROM (VALUES (1)) AS always (one)
            LEFT JOIN LATERAL (SELECT * FROM signing_keys ORDER BY generation DESC LIMIT $1) k ON true
            ORDER BY generation
          )sql",
          .params = {PgSigningKeys::keys_max}};
}

Query insert_key(const StoredSigningKey& key, std::chrono::seconds lead) {
  return {.name = "user.insert_signing_key",
          .read_only = false,
          .sql = R"sql(
            INSERT INTO signing_keys (generation, kid, public_jwk, private_sealed, signs_from)
            VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second')
            ON CONFLICT DO NOTHING
            RETURNING generation
          )sql",
          .params = {key.generation, key.key_id, key.public_jwk, bytea(key.private_sealed),
                     std::int64_t{lead.count()}}};
}

Query delete_old_keys() {
  return {.name = "user.purge_signing_keys",
          .read_only = false,
          .sql = R"sql(
            DELETE FROM signing_keys k
            WHERE EXISTS (SELECT FROM signing_keys n
                          WHERE n.generation > k.generation
                            AND n.signs_from < now() - interval '1 day')
          )sql",
          .params = {}};
}

}  // namespace

Task<StoredSigningKeys> PgSigningKeys::load(Context context) {
  const auto rows = co_await database_.run(std::move(context), select_keys());
  StoredSigningKeys stored{.now = rows.front().instant(0), .keys = {}};
  for (const postgres::Row row : rows) {
    if (row.is_null(1)) break;
    stored.keys.push_back({.generation = row.number(1),
                           .key_id = std::string{row.text(2)},
                           .public_jwk = std::string{row.text(3)},
                           .private_sealed = parse_base64url(row.text(4)).value_or(""),
                           .signs_from = row.instant(5)});
  }
  co_return stored;
}

Task<bool> PgSigningKeys::insert(Context context, StoredSigningKey key, std::chrono::seconds lead) {
  const auto rows = co_await database_.run(std::move(context), insert_key(key, lead));
  co_return !rows.empty();
}

Task<> PgSigningKeys::purge(Context context) {
  co_await database_.run(std::move(context), delete_old_keys());
}

}  // namespace stoa::user
