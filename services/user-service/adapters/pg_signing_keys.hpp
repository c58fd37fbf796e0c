#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "servicekit/core/time.hpp"
#include "servicekit/postgres/database.hpp"

namespace stoa::user {

struct StoredSigningKey {
  std::int64_t generation = 0;
  std::string key_id;
  std::string public_jwk;
  std::string private_sealed;
  Instant signs_from{};
};

struct StoredSigningKeys {
  Instant now{};  ///< of the database
  std::vector<StoredSigningKey> keys;
};

/// The table of signing keys. Every call waits on the database and throws Unavailable.
class PgSigningKeys {
 public:
  static constexpr std::int64_t keys_max = 16;

  explicit PgSigningKeys(postgres::Database& database) : database_{database} {}

  /// The latest, in the order of their generations.
  Task<StoredSigningKeys> load(Context context);

  /// `key` as its generation, to sign `lead` from now. False when a replica was first.
  Task<bool> insert(Context context, StoredSigningKey key, std::chrono::seconds lead);

  /// Deletes keys that were replaced more than a day ago.
  Task<> purge(Context context);

 private:
  postgres::Database& database_;
};

}  // namespace stoa::user
