#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "servicekit/async/cpu_pool.hpp"
#include "servicekit/async/loops.hpp"
#include "servicekit/auth/auth.hpp"
#include "servicekit/core/secret.hpp"

#include "services/user-service/adapters/pg_signing_keys.hpp"

namespace stoa::user {

/// The key that signs now and the set that is published, read from the database every 30 s and kept
/// while it is away. Makes the first key when there is none; two replicas agree on one. Private
/// halves rest in the database sealed under a key that it never sees.
class SigningKeys {
 public:
  static constexpr std::chrono::seconds read_again_after{30};

  /// `sealing_key` has 32 bytes. The pool generates keys.
  SigningKeys(Loops& loops, PgSigningKeys& store, CpuPool& pool, Secret<> sealing_key);

  /// Throws Unavailable when no key was ever read, or none can be opened with this sealing key.
  Task<std::shared_ptr<const auth::Signer>> signer(Context context);

  /// A JSON Web Key Set (RFC 7517). Throws Unavailable when none was ever read.
  Task<std::string> jwks(Context context);

  /// Adds a key that signs key_lead from now; the one before it stays published until its tokens
  /// are dead. Returns its id. Throws Unavailable.
  Task<std::string> rotate(Context context);

 private:
  struct Known {
    std::shared_ptr<const auth::Signer> signer;
    std::string jwks;
    std::chrono::steady_clock::time_point read_at;
  };
  struct Shard {
    std::shared_ptr<const Known> known;
  };

  Task<std::shared_ptr<const Known>> known(Context context);
  Task<std::shared_ptr<const Known>> read(Context context);
  Task<std::string> add(Context context, std::int64_t generation, std::chrono::seconds lead);
  std::shared_ptr<const Known> open(const StoredSigningKeys& stored) const;

  PgSigningKeys& store_;
  CpuPool& pool_;
  Secret<> sealing_key_;
  PerLoop<Shard> shards_;
};

}  // namespace stoa::user
