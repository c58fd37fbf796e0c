#include "services/user-service/domain/account.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "servicekit/core/ascii.hpp"

namespace stoa::user {
namespace {

constexpr std::size_t domain_label_bytes_max = 63;
constexpr std::size_t top_level_bytes_min = 2;

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// Code points of well-formed UTF-8, which the JSON reader guarantees: its lead bytes.
std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

bool is_letter(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// RFC 5322 section 3.2.3, in lower case.
bool is_atext(char c) {
  return is_letter(c) || is_digit(c) || std::string_view{"!#$%&'*+-/=?^_`{|}~"}.contains(c);
}

bool acceptable_local(std::string_view local) {
  if (local.empty() || local.size() > email_local_bytes_max) return false;
  if (local.front() == '.' || local.back() == '.' || local.contains("..")) return false;
  return std::ranges::all_of(local, [](char c) { return c == '.' || is_atext(c); });
}

bool acceptable_label(std::string_view label) {
  if (label.empty() || label.size() > domain_label_bytes_max) return false;
  if (label.front() == '-' || label.back() == '-') return false;
  return std::ranges::all_of(label, [](char c) { return is_letter(c) || is_digit(c) || c == '-'; });
}

bool acceptable_domain(std::string_view domain) {
  std::size_t labels = 0;
  std::string_view top_level;
  while (true) {
    const auto dot = domain.find('.');
    top_level = domain.substr(0, dot);
    if (!acceptable_label(top_level)) return false;
    ++labels;
    if (dot == std::string_view::npos) break;
    domain.remove_prefix(dot + 1);
  }
  return labels >= 2 && top_level.size() >= top_level_bytes_min &&
         std::ranges::any_of(top_level, is_letter);
}

// C0, DEL and the C1 block, which UTF-8 spells C2 80 to C2 9F.
bool has_control_character(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7F) return true;
    if (byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
      return true;
    }
  }
  return false;
}

FieldError invalid_email() {
  return {.pointer = "/email", .code = "invalid_email", .detail = "expected local@domain.tld"};
}
FieldError invalid_name() {
  return {.pointer = "/name", .code = "invalid_name", .detail = "1 to 100 printable characters"};
}
FieldError invalid_password() {
  return {.pointer = "/password", .code = "invalid_password", .detail = "10 to 128 characters"};
}

std::unexpected<Error> invalid_body(std::vector<FieldError> errors) {
  return refuse(ErrorKind::invalid, "invalid_body", "some members cannot be accepted",
                std::move(errors));
}

}  // namespace

std::string_view name(Role role) {
  switch (role) {
    case Role::customer:
      return "customer";
    case Role::staff:
      return "staff";
    case Role::admin:
      return "admin";
  }
  std::unreachable();
}

std::optional<Role> parse_role(std::string_view text) {
  for (const Role role : {Role::customer, Role::staff, Role::admin}) {
    if (name(role) == text) return role;
  }
  return std::nullopt;
}

std::vector<std::string> scopes_of(Role role) {
  std::vector<std::string> scopes;
  if (role == Role::customer) return scopes;
  scopes = {"catalog:write", "orders:read_all", "orders:write", "payments:read", "payments:refund"};
  if (role == Role::admin) {
    scopes.emplace_back("users:admin");
    scopes.emplace_back("webhooks:write");
  }
  return scopes;
}

std::optional<std::string> normalised_email(std::string_view text) {
  std::string email = lower_case(trimmed(text));
  if (email.size() > email_bytes_max) return std::nullopt;
  const auto at = email.rfind('@');
  if (at == std::string::npos) return std::nullopt;
  const std::string_view whole{email};
  if (!acceptable_local(whole.substr(0, at)) || !acceptable_domain(whole.substr(at + 1))) {
    return std::nullopt;
  }
  return email;
}

std::optional<std::string> normalised_name(std::string_view text) {
  const std::string_view inner = trimmed(text);
  if (inner.empty() || characters(inner) > name_characters_max) return std::nullopt;
  if (has_control_character(inner)) return std::nullopt;
  return std::string{inner};
}

bool acceptable_password(std::string_view text) {
  const std::size_t length = characters(text);
  return length >= password_characters_min && length <= password_characters_max;
}

Result<Registration> check_registration(const Registration& wanted) {
  std::vector<FieldError> errors;
  auto email = normalised_email(wanted.email);
  auto shown_name = normalised_name(wanted.name);
  if (!email) errors.push_back(invalid_email());
  if (!acceptable_password(wanted.password)) errors.push_back(invalid_password());
  if (!shown_name) errors.push_back(invalid_name());
  if (!errors.empty()) return invalid_body(std::move(errors));
  return Registration{
      .email = std::move(*email), .password = wanted.password, .name = std::move(*shown_name)};
}

Result<WantedChange> check_change(const WantedChange& wanted) {
  std::vector<FieldError> errors;
  WantedChange change = wanted;
  if (wanted.email) {
    change.email = normalised_email(*wanted.email);
    if (!change.email) errors.push_back(invalid_email());
  }
  if (wanted.name) {
    change.name = normalised_name(*wanted.name);
    if (!change.name) errors.push_back(invalid_name());
  }
  if (wanted.password && !acceptable_password(*wanted.password)) {
    errors.push_back(invalid_password());
  }
  if ((wanted.email || wanted.password) && !wanted.current_password) {
    errors.push_back({.pointer = "/current_password",
                      .code = "required",
                      .detail = "needed to change the e-mail address or the password"});
  }
  if (!errors.empty()) return invalid_body(std::move(errors));
  return change;
}

}  // namespace stoa::user
