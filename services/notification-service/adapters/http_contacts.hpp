#pragma once

#include "servicekit/auth/auth.hpp"
#include "servicekit/http/client.hpp"

#include "services/notification-service/app/ports.hpp"

namespace stoa::notification {

/// user-service knows how users are reached, and nobody else keeps it.
class HttpContacts final : public Contacts {
 public:
  HttpContacts(http::Client& users, auth::ServiceTokens& tokens) : users_{users}, tokens_{tokens} {}

  Task<std::optional<Contact>> find(Context context, UserId user) override;

 private:
  http::Client& users_;
  auth::ServiceTokens& tokens_;
};

}  // namespace stoa::notification
