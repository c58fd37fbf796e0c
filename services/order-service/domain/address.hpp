#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/error.hpp"

namespace stoa::order {

/// Where an order goes.
struct Address {
  std::string name;
  std::string line1;
  std::optional<std::string> line2;
  std::string city;
  std::optional<std::string> region;
  std::string postal_code;
  std::string country;  ///< ISO 3166-1 alpha-2

  friend bool operator==(const Address&, const Address&) = default;
};

/// Whether `code` is an officially assigned two-letter code, upper case.
bool is_country(std::string_view code);

/// What is wrong with it, each with a pointer within the address ("/country"); empty when it can be
/// used. Codes: required (blank), too_long, unknown_country.
std::vector<FieldError> check_address(const Address& address);

}  // namespace stoa::order
