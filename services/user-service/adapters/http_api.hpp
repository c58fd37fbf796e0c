#pragma once

#include <functional>

#include "servicekit/http/server.hpp"
#include "servicekit/redis/redis.hpp"
#include "servicekit/telemetry/telemetry.hpp"

#include "services/user-service/adapters/signing_keys.hpp"
#include "services/user-service/app/accounts.hpp"
#include "services/user-service/app/sessions.hpp"

namespace stoa::user {

/// The HTTP face of the service; contracts/http/user-service.yaml is its specification.
class HttpApi {
 public:
  struct Collaborators {
    Accounts& accounts;
    Sessions& sessions;
    UserStore& store;  ///< for what the other services ask
    SigningKeys& keys;
    redis::RateLimiter& limiter;
    telemetry::Telemetry& telemetry;
    std::function<void()> on_fact;  ///< something was written to the outbox
  };
  /// The order of the limiter's policies.
  enum class Limit : std::size_t { login, registration };

  explicit HttpApi(Collaborators collaborators);

  void mount(http::Router& router);

 private:
  Task<http::Response> register_user(Context context, http::Request request);
  Task<http::Response> login(Context context, http::Request request);
  Task<http::Response> refresh(Context context, http::Request request);
  Task<http::Response> logout(Context context, http::Request request);
  Task<http::Response> logout_all(Context context, http::Request request);
  Task<http::Response> show_me(Context context, http::Request request);
  Task<http::Response> change_me(Context context, http::Request request);
  Task<http::Response> erase_me(Context context, http::Request request);
  Task<http::Response> jwks(Context context, http::Request request);
  Task<http::Response> revocations(Context context, http::Request request);
  Task<http::Response> contact(Context context, http::Request request);

  Result<void> check_limit(Limit limit, const http::Request& request);

  /// Counters of stoa_logins_total.
  struct Logins {
    telemetry::Counter accepted;
    telemetry::Counter refused;
    telemetry::Counter locked;
    telemetry::Counter throttled;
  };

  Collaborators with_;
  Logins logins_;
};

}  // namespace stoa::user
