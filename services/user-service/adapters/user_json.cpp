#include "services/user-service/adapters/user_json.hpp"

#include <utility>

#include "servicekit/json/json.hpp"

namespace stoa::user {
namespace {

struct RegistrationJson {
  std::string email;
  std::string password;
  std::string name;
};

struct LoginJson {
  std::string email;
  std::string password;
};

struct RefreshJson {
  std::string refresh_token;
};

struct ChangeJson {
  json::Patch<std::string> email;
  json::Patch<std::string> name;
  json::Patch<std::string> password;
  std::optional<std::string> current_password;
};

struct UserJson {
  std::string id;
  std::string email;
  std::string name;
  std::string created_at;
};

struct SignedInJson {
  UserJson user;
  std::string access_token;
  std::string refresh_token;
  std::string token_type = "Bearer";
  std::int64_t expires_in = std::chrono::seconds{access_token_lifetime}.count();
};

struct RevokedSessionJson {
  std::string sid;
  std::string revoked_at;
};

struct RevocationsJson {
  std::string now;
  std::vector<RevokedSessionJson> sessions;
  bool more = false;
};

struct ContactJson {
  std::string email;
  std::string name;
};

UserJson to_wire(const User& user) {
  return {.id = user.id.str(),
          .email = user.email,
          .name = user.name,
          .created_at = rfc3339(user.created_at)};
}

std::optional<std::string> taken_over(json::Patch<std::string>& patch, std::string_view pointer,
                                      std::vector<FieldError>& errors) {
  if (patch.present && !patch.value) {
    errors.push_back({.pointer = std::string{pointer},
                      .code = "required",
                      .detail = "this member cannot be removed"});
  }
  return std::move(patch.value);
}

}  // namespace

Result<Registration> parse_registration(std::string_view body) {
  auto wire = json::read<RegistrationJson>(body);
  if (!wire) return std::unexpected(std::move(wire).error());
  return Registration{.email = std::move(wire->email),
                      .password = std::move(wire->password),
                      .name = std::move(wire->name)};
}

Result<Login> parse_login(std::string_view body) {
  auto wire = json::read<LoginJson>(body);
  if (!wire) return std::unexpected(std::move(wire).error());
  return Login{.email = std::move(wire->email), .password = Secret<>{std::move(wire->password)}};
}

Result<Secret<>> parse_refresh_token(std::string_view body) {
  auto wire = json::read<RefreshJson>(body);
  if (!wire) return std::unexpected(std::move(wire).error());
  return Secret<>{std::move(wire->refresh_token)};
}

Result<WantedChange> parse_change(std::string_view body) {
  auto wire = json::read<ChangeJson>(body);
  if (!wire) return std::unexpected(std::move(wire).error());
  std::vector<FieldError> errors;
  WantedChange change{.email = taken_over(wire->email, "/email", errors),
                      .name = taken_over(wire->name, "/name", errors),
                      .password = taken_over(wire->password, "/password", errors),
                      .current_password = std::move(wire->current_password)};
  if (!errors.empty()) {
    return refuse(ErrorKind::invalid, "invalid_body", "some members cannot be accepted",
                  std::move(errors));
  }
  return change;
}

std::string user_json(const User& user) { return json::write(to_wire(user)); }

std::string signed_in_json(const SignedIn& signed_in) {
  return json::write(SignedInJson{.user = to_wire(signed_in.user),
                                  .access_token = signed_in.access_token,
                                  .refresh_token = signed_in.refresh_token.reveal()});
}

std::string revocations_json(const RevokedSessions& revoked) {
  RevocationsJson wire{.now = rfc3339(revoked.now), .sessions = {}, .more = revoked.more};
  for (const auto& session : revoked.sessions) {
    wire.sessions.push_back({.sid = session.id.str(), .revoked_at = rfc3339(session.revoked_at)});
  }
  return json::write(wire);
}

std::string contact_json(const User& user) {
  return json::write(ContactJson{.email = user.email, .name = user.name});
}

}  // namespace stoa::user
