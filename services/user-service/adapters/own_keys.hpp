#pragma once

#include "servicekit/auth/auth.hpp"

#include "services/user-service/adapters/signing_keys.hpp"
#include "services/user-service/app/ports.hpp"

namespace stoa::user {

/// What the other services ask us over HTTP, for our own verifier.
class OwnKeys final : public auth::KeySource {
 public:
  OwnKeys(SigningKeys& keys, UserStore& store) : keys_{keys}, store_{store} {}

  Task<std::string> jwks(Context context) override { return keys_.jwks(std::move(context)); }

  Task<auth::Revocations> revocations(Context context, std::optional<Instant> since,
                                      std::optional<SessionId> after) override {
    const auto revoked = co_await store_.revoked(std::move(context), since, after);
    auth::Revocations told{.now = revoked.now, .sessions = {}, .more = revoked.more};
    for (const auto& session : revoked.sessions) {
      told.sessions.push_back({.id = session.id, .revoked_at = session.revoked_at});
    }
    co_return told;
  }

 private:
  SigningKeys& keys_;
  UserStore& store_;
};

}  // namespace stoa::user
