#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "servicekit/core/error.hpp"
#include "servicekit/core/uuid.hpp"
#include "servicekit/http/server.hpp"
#include "servicekit/postgres/database.hpp"

// Idempotency keys of POSTs, for every service alike. Table idempotency_keys:
//   origin uuid PRIMARY KEY, caller text, fingerprint bytea, status int, headers text, body text,
//   expires_at timestamptz
// The row is written in the transaction of the effect.
namespace stoa::postgres {

/// One request as its sender means it.
struct IdempotencyKey {
  Uuid origin;              ///< name-based over (caller, method, concrete path, key)
  std::string caller;       ///< usr_… or the service
  std::string fingerprint;  ///< 64 hex characters: SHA-256 of the canonical JSON (RFC 8785)
};

/// Empty when the client sent no key and `required` is false.
/// Errors: idempotency_key_required, bad_idempotency_key (malformed: empty, over 255 characters,
/// not printable ASCII), malformed_json.
Result<std::optional<IdempotencyKey>> idempotency_key(const http::Request& request, bool required);

/// The first answer of that key as it was stored.
struct StoredAnswer {
  int status = 0;
  std::string headers;
  std::string body;

  /// With `Idempotent-Replayed: true`.
  http::Response replay() const;
};

/// Read the row. Rows: fingerprint, status, headers, body.
Query find_idempotency_key(const IdempotencyKey& key);
/// Errors: idempotency_key_reused (invalid) when the row has another fingerprint.
Result<std::optional<StoredAnswer>> stored_answer(const Rows& rows, const IdempotencyKey& key);

/// Insert the row (replacing an expired one); returns one row when it was inserted, none when
/// another request holds the key. First statement of the effect's transaction: a twin waits here.
Query insert_idempotency_key(const IdempotencyKey& key, const StoredAnswer& answer);

/// Retention, in bounded steps: at most `rows_max` at a time; repeat while that many were deleted
/// (Rows::affected). Two replicas may purge at once.
Query purge_idempotency_keys(std::int64_t rows_max);
Query purge_inbox(std::int64_t rows_max);  ///< older than 30 days

}  // namespace stoa::postgres
