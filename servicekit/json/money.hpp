#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/error.hpp"
#include "servicekit/core/money.hpp"

namespace stoa::json {

/// Money on the wire: `{"amount": 1299, "currency": "EUR"}`, integer minor units.
struct MoneyJson {
  std::int64_t amount = 0;
  std::string currency;

  friend bool operator==(const MoneyJson&, const MoneyJson&) = default;
};

MoneyJson to_json(const Money& money);

/// Empty, with what is wrong added to `errors`, when it is no Money: `unknown_currency` at
/// `<pointer>/currency`, `out_of_range` at `<pointer>/amount` (beyond 2^53 - 1 either way).
/// `pointer` is the JSON Pointer of the object itself: "/lines/0/unit_price".
std::optional<Money> to_money(const MoneyJson& wire, std::string_view pointer,
                              std::vector<FieldError>& errors);

/// For one object alone, as a message or an answer of a neighbour carries it.
/// Errors: invalid_body (invalid), with the same fields.
Result<Money> to_money(const MoneyJson& wire, std::string_view pointer = "");

}  // namespace stoa::json
