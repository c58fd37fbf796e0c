#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/error.hpp"
#include "servicekit/core/time.hpp"
#include "servicekit/core/type_id.hpp"

// Who a user is and what they may do. Pure: no clock, no database, no hash, no coroutines.
namespace stoa::user {

inline constexpr std::size_t email_bytes_max =
    254;  // RFC 5321 section 4.5.3.1.3, less the brackets
inline constexpr std::size_t email_local_bytes_max = 64;
inline constexpr std::size_t name_characters_max = 100;
inline constexpr std::size_t password_characters_min = 10;
inline constexpr std::size_t password_characters_max = 128;

enum class Role : std::uint8_t { customer, staff, admin };
std::string_view name(Role role);
std::optional<Role> parse_role(std::string_view text);

/// What the role may do beyond its own data; the scopes that routes ask for.
std::vector<std::string> scopes_of(Role role);

struct User {
  UserId id{};
  std::string email{};
  std::string name{};
  Role role = Role::customer;
  Instant created_at{};
  std::int64_t version = 1;

  friend bool operator==(const User&, const User&) = default;
};

/// The one spelling of an address under which an account is found: without white space around it,
/// in lower case. Empty for what no mail server would take as `local@domain.tld`: quoted local
/// parts, address literals and non-ASCII names are not accepted (internationalised domains are, in
/// their xn-- form).
std::optional<std::string> normalised_email(std::string_view text);

/// Without white space around it. Empty when nothing or more than name_characters_max is left, or
/// when it holds a control character, which has no place in a mail header.
std::optional<std::string> normalised_name(std::string_view text);

/// Length in characters, nothing else: composition rules make passwords worse (NIST SP 800-63B
/// section 5.1.1.2).
bool acceptable_password(std::string_view text);

struct Registration {
  std::string email;
  std::string password;
  std::string name;
};

/// The same values, normalised.
/// Errors: invalid_body with every wrong member: invalid_email, invalid_password, invalid_name.
Result<Registration> check_registration(const Registration& wanted);

/// What a user asks to change of themselves; absent stays.
struct WantedChange {
  std::optional<std::string> email;
  std::optional<std::string> name;
  std::optional<std::string> password;
  std::optional<std::string> current_password;
};

/// The same values, normalised. Errors: invalid_body with every wrong member, as above, and
/// required at /current_password: who changes how an account is entered shows that they may.
Result<WantedChange> check_change(const WantedChange& wanted);

}  // namespace stoa::user
