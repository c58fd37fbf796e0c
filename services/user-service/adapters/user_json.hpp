#pragma once

#include <string>

#include "servicekit/core/error.hpp"

#include "services/user-service/app/accounts.hpp"
#include "services/user-service/app/sessions.hpp"

// The only files that know the names of members on the wire. Errors: malformed_json, invalid_body.
namespace stoa::user {

Result<Registration> parse_registration(std::string_view body);
Result<Login> parse_login(std::string_view body);
Result<Secret<>> parse_refresh_token(std::string_view body);
/// A JSON Merge Patch; no member can be removed.
Result<WantedChange> parse_change(std::string_view body);

std::string user_json(const User& user);
std::string signed_in_json(const SignedIn& signed_in);
std::string revocations_json(const RevokedSessions& revoked);
/// What notification-service needs to write to somebody.
std::string contact_json(const User& user);

}  // namespace stoa::user
