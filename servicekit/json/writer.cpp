#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <format>

#include "servicekit/core/encoding.hpp"
#include "servicekit/core/require.hpp"
#include "servicekit/json/json.hpp"
#include "servicekit/json/money.hpp"

namespace stoa::json {
namespace detail {
namespace {

constexpr char plain = 0;
constexpr char numeric = 'u';

// How each byte is escaped: RFC 8785 section 3.2.2.2, which is also the shortest form of RFC 8259.
constexpr auto escapes = [] {
  std::array<char, 256> table{};
  for (std::size_t control = 0; control < 0x20; ++control) table[control] = numeric;
  table['"'] = '"';
  table['\\'] = '\\';
  table['\b'] = 'b';
  table['\t'] = 't';
  table['\n'] = 'n';
  table['\f'] = 'f';
  table['\r'] = 'r';
  return table;
}();

// Whether none of eight bytes is a control character, a quote or a backslash. The tests are those
// of "Bit Twiddling Hacks" (hasless, haszero); a false alarm only costs the slow way.
bool eight_are_plain(const char* bytes) {
  constexpr std::uint64_t ones = 0x0101010101010101;
  constexpr std::uint64_t highs = 0x8080808080808080;
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  const auto has_zero = [](std::uint64_t x) { return (x - ones) & ~x; };
  const std::uint64_t alarms = ((word - ones * 0x20) & ~word) | has_zero(word ^ (ones * '"')) |
                               has_zero(word ^ (ones * '\\'));
  return (alarms & highs) == 0;
}

void append_escape(std::string& out, unsigned char byte) {
  out += '\\';
  if (escapes[byte] != numeric) {
    out += escapes[byte];
    return;
  }
  constexpr std::string_view digits = "0123456789abcdef";
  out += "u00";
  out += digits[byte >> 4U];
  out += digits[byte & 0xFU];
}

}  // namespace

// Number::toString of ECMAScript (ECMA-262 section 6.1.6.1.20) from the shortest digits that give
// the same double back, which is what std::to_chars finds.
void write_number(std::string& out, double number) {
  require(std::isfinite(number), "a JSON number is finite");
  if (number == 0) {
    out += '0';
    return;
  }
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::abs(number),
                                 std::chars_format::scientific)
                       .ptr;
  const std::string_view shortest{buffer.data(), end};
  const std::size_t mark = shortest.find('e');
  std::string digits{shortest.substr(0, 1)};
  if (mark > 2) digits += shortest.substr(2, mark - 2);
  int exponent = 0;
  const std::size_t sign = shortest[mark + 1] == '+' ? 2 : 1;
  std::from_chars(shortest.data() + mark + sign, end, exponent);

  if (number < 0) out += '-';
  const int count = static_cast<int>(digits.size());
  const int point = exponent + 1;  // digits before the decimal point
  if (count <= point && point <= 21) {
    out += digits;
    out.append(static_cast<std::size_t>(point - count), '0');
  } else if (0 < point && point <= 21) {
    out.append(digits, 0, static_cast<std::size_t>(point)).append(1, '.');
    out.append(digits, static_cast<std::size_t>(point));
  } else if (-6 < point && point <= 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-point), '0');
    out += digits;
  } else {
    out += digits[0];
    if (count > 1) out.append(1, '.').append(digits, 1);
    out += std::format("e{:+}", exponent);
  }
}

void write_signed(std::string& out, std::int64_t number) {
  std::array<char, 24> buffer{};
  out.append(buffer.data(),
             std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr);
}

void write_unsigned(std::string& out, std::uint64_t number) {
  std::array<char, 24> buffer{};
  out.append(buffer.data(),
             std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr);
}

}  // namespace detail

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  std::size_t written = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text.size() - at >= sizeof(std::uint64_t) && detail::eight_are_plain(text.data() + at)) {
      at += sizeof(std::uint64_t);
      continue;
    }
    const auto byte = static_cast<unsigned char>(text[at]);
    if (detail::escapes[byte] != detail::plain) {
      out.append(text, written, at - written);
      detail::append_escape(out, byte);
      written = at + 1;
    }
    ++at;
  }
  out.append(text, written);
  out += '"';
}

std::string quoted(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  append_quoted(out, text);
  return out;
}

void append_quoted_lossy(std::string& out, std::string_view text) {
  if (valid_utf8(text)) {
    append_quoted(out, text);
    return;
  }
  constexpr std::string_view replacement = "\xEF\xBF\xBD";
  std::string repaired;
  repaired.reserve(text.size() * replacement.size());
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80) {
      repaired += c;
    } else {
      repaired += replacement;
    }
  }
  append_quoted(out, repaired);
}

MoneyJson to_json(const Money& money) {
  return {.amount = money.minor_units(), .currency = std::string{money.currency().code()}};
}

std::optional<Money> to_money(const MoneyJson& wire, std::string_view pointer,
                              std::vector<FieldError>& errors) {
  const auto currency = Currency::parse(wire.currency);
  if (!currency) {
    errors.push_back({.pointer = std::format("{}/currency", pointer),
                      .code = "unknown_currency",
                      .detail = "expected an ISO 4217 code in upper case"});
  }
  const bool in_range = wire.amount <= Money::wire_max && wire.amount >= -Money::wire_max;
  if (!in_range) {
    errors.push_back({.pointer = std::format("{}/amount", pointer),
                      .code = "out_of_range",
                      .detail = std::format("at most {} either way", Money::wire_max)});
  }
  if (!currency || !in_range) return std::nullopt;
  return Money{wire.amount, *currency};
}

Result<Money> to_money(const MoneyJson& wire, std::string_view pointer) {
  std::vector<FieldError> errors;
  if (const auto money = to_money(wire, pointer, errors)) return *money;
  return refuse(ErrorKind::invalid, "invalid_body", "this is no amount of money",
                std::move(errors));
}

}  // namespace stoa::json
