#include "servicekit/postgres/idempotency.hpp"

#include <algorithm>

#include "servicekit/core/ascii.hpp"
#include "servicekit/core/encoding.hpp"
#include "servicekit/core/require.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/json/json.hpp"

namespace stoa::postgres {
namespace {

constexpr std::size_t key_length_max = 255;

bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

std::string caller_of(const http::Identity& identity) {
  switch (identity.kind) {
    case http::Identity::Kind::user:
      return identity.user.str();
    case http::Identity::Kind::service:
      return identity.service;
    case http::Identity::Kind::nobody:
      return "";
  }
  std::unreachable();
}

}  // namespace

Result<std::optional<IdempotencyKey>> idempotency_key(const http::Request& request, bool required) {
  const std::string_view key = request.header("idempotency-key");
  int sent = 0;
  request.each_header([&](std::string_view name, std::string_view) {
    if (equal_ignoring_case(name, "idempotency-key")) ++sent;
  });
  if (sent == 0) {
    if (!required) return std::nullopt;
    return refuse(ErrorKind::malformed, "idempotency_key_required",
                  "this request needs an Idempotency-Key header");
  }
  // Of two, whoever is on the way may take the other one, and an effect would come twice.
  if (sent > 1 || key.empty() || key.size() > key_length_max || !printable(key)) {
    return refuse(ErrorKind::malformed, "bad_idempotency_key",
                  "an Idempotency-Key is one, of 1 to 255 printable ASCII characters");
  }
  std::string canonical;
  if (!request.body().empty()) {
    auto text = json::canonical(request.body());
    if (!text) return std::unexpected(std::move(text.error()));
    canonical = std::move(*text);
  }
  const std::string caller = caller_of(request.identity());
  return IdempotencyKey{
      .origin =
          crypto::name_based_uuid({caller, http::name(request.method()), request.path(), key}),
      .caller = caller,
      .fingerprint = hex(crypto::sha256(canonical)),
  };
}

http::Response StoredAnswer::replay() const {
  http::Response response{.status = status, .body = body, .headers = headers};
  response.add_header("Idempotent-Replayed", "true");
  return response;
}

Query find_idempotency_key(const IdempotencyKey& key) {
  return {
      .name = "idempotency.find",
      .read_only = true,
      .sql = R"sql(
        SELECT encode(fingerprint, 'hex'), status, headers, body
        FROM idempotency_keys WHERE origin = $1 AND expires_at > now()
      )sql",
      .params = {param(key.origin)},
  };
}

Result<std::optional<StoredAnswer>> stored_answer(const Rows& rows, const IdempotencyKey& key) {
  if (rows.empty()) return std::nullopt;
  const Row row = rows.front();
  if (row.text(0) != key.fingerprint) {
    return refuse(ErrorKind::invalid, "idempotency_key_reused",
                  "this Idempotency-Key came with another request");
  }
  return StoredAnswer{.status = static_cast<int>(row.number(1)),
                      .headers = std::string{row.text(2)},
                      .body = std::string{row.text(3)}};
}

Query insert_idempotency_key(const IdempotencyKey& key, const StoredAnswer& answer) {
  return {
      .name = "idempotency.insert",
      .read_only = false,
      .sql = R"sql(
        INSERT INTO idempotency_keys AS k
          (origin, caller, fingerprint, status, headers, body, expires_at)
        VALUES ($1, $2, decode($3, 'hex'), $4::int, $5, $6, now() + interval '72 hours')
        ON CONFLICT (origin) DO UPDATE
          SET caller = excluded.caller, fingerprint = excluded.fingerprint,
              status = excluded.status, headers = excluded.headers, body = excluded.body,
              expires_at = excluded.expires_at
          WHERE k.expires_at <= now()
        RETURNING origin
      )sql",
      .params = {param(key.origin), key.caller, key.fingerprint, std::int64_t{answer.status},
                 answer.headers, answer.body},
  };
}

Query purge_idempotency_keys(std::int64_t rows_max) {
  return {
      .name = "idempotency.purge",
      .read_only = false,
      .sql = R"sql(
        DELETE FROM idempotency_keys WHERE origin IN (
          SELECT origin FROM idempotency_keys WHERE expires_at <= now()
          ORDER BY expires_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED)
      )sql",
      .params = {rows_max},
  };
}

Query purge_inbox(std::int64_t rows_max) {
  return {
      .name = "inbox.purge",
      .read_only = false,
      .sql = R"sql(
        DELETE FROM inbox WHERE (consumer, event_id) IN (
          SELECT consumer, event_id FROM inbox WHERE received_at < now() - interval '30 days'
          LIMIT $1::bigint FOR UPDATE SKIP LOCKED)
      )sql",
      .params = {rows_max},
  };
}

}  // namespace stoa::postgres
