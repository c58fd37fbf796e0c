#pragma once

#include <span>
#include <string>
#include <string_view>

#include "servicekit/core/secret.hpp"

namespace stoa::postgres {

/// One forward step of a schema, compiled into the binary by stoa_migrations().
struct Migration {
  int number;
  std::string_view name;
  std::string_view sql;
};

/// Applies what is missing, each in a transaction of its own, under an advisory lock and with
/// lock_timeout. Records number, name and SHA-256 in schema_migrations; a recorded checksum that
/// differs is refused. servicekit's own tables (outbox, inbox, idempotency_keys) come first, as the
/// set "servicekit". Blocks; for the `migrate` command only. Throws std::runtime_error.
void migrate(const Secret<>& dsn, std::span<const Migration> migrations);

/// The number the database of `dsn` is at for the service's own set; 0 when there is none yet, or
/// while a step of servicekit's set is missing. Blocks. Throws std::runtime_error when it cannot be
/// asked.
int schema_version(const Secret<>& dsn);

}  // namespace stoa::postgres
