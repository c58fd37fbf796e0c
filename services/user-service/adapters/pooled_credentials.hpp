#pragma once

#include "servicekit/async/cpu_pool.hpp"

#include "services/user-service/adapters/signing_keys.hpp"
#include "services/user-service/app/ports.hpp"

namespace stoa::user {

/// Passwords on one pool and signatures on another, so that a refresh does not queue behind hashes.
class PooledCredentials final : public Credentials {
 public:
  struct Pools {
    CpuPool& passwords;
    CpuPool& signatures;
  };

  /// `master_key`: what refresh tokens follow from one another by.
  PooledCredentials(Pools pools, SigningKeys& keys, const Secret<>& master_key);

  Task<PasswordHash> hash(Context context, Secret<> password) override;
  Task<bool> matches(Context context, std::optional<PasswordHash> hash, Secret<> password) override;
  Secret<> new_refresh_token() override;
  Secret<> successor_of(const Secret<>& refresh_token) override;
  TokenHash hash_of(const Secret<>& refresh_token) override;
  Task<std::string> access_token(Context context, Grant grant) override;

 private:
  Pools pools_;
  SigningKeys& keys_;
  Secret<> successor_key_;
};

}  // namespace stoa::user
