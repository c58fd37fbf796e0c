#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "servicekit/core/error.hpp"

// JSON to plain aggregates and back. Names and types come from the aggregate itself (Boost.PFR):
// no macros, no second list of fields to forget. Member types: bool, integers, double, std::string,
// std::optional<T>, std::vector<T>, json::Patch<T>, json::Raw, std::map<std::string, T>, and
// aggregates of these.
namespace stoa::json {

/// A member of a JSON Merge Patch (RFC 7396): absent, null (remove) or a value.
template <class T>
struct Patch {
  bool present = false;
  std::optional<T> value{};  ///< empty while present: null was sent
};

/// A piece of JSON text that is copied through as it is.
struct Raw {
  std::string text;
};

/// Reads one document strictly. Everything unknown, missing or of a wrong type is told at once,
/// each with its JSON Pointer. A std::optional member may be absent or null.
///
/// Errors: malformed_json (kind malformed: syntax, UTF-8, a duplicate member, nesting beyond 32,
/// NUL in a string), invalid_body (kind invalid: fields carry unknown_member, required, wrong_type,
/// out_of_range).
template <class T>
Result<T> read(std::string_view text);

/// The same for messages: unknown members are ignored.
template <class T>
Result<T> read_lenient(std::string_view text);

/// Writes `value`; an empty std::optional member is left out.
template <class T>
std::string write(const T& value);

/// `text`, which is UTF-8, as a JSON string, quotes included.
std::string quoted(std::string_view text);
void append_quoted(std::string& out, std::string_view text);

/// The same for text from outside: unless all of it is UTF-8, each byte beyond ASCII becomes
/// U+FFFD.
void append_quoted_lossy(std::string& out, std::string_view text);

/// The text of RFC 8785 (JSON Canonicalization Scheme): members sorted by UTF-16 code units,
/// numbers as ECMAScript prints them. What a fingerprint is taken over. Errors: malformed_json.
Result<std::string> canonical(std::string_view text);

}  // namespace stoa::json

#include "servicekit/json/json_impl.hpp"
