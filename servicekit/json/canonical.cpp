#include <algorithm>
#include <charconv>
#include <cmath>

#include "servicekit/json/json.hpp"
#include "servicekit/json/yyjson_value.hpp"

namespace stoa::json {
namespace {

using detail::Reader;

// UTF-8 sorts by code point, RFC 8785 by UTF-16 code unit. They differ only where a character
// beyond the basic plane (lead byte F0 and up; surrogates D800 to DFFF in UTF-16) meets one of
// U+E000 to U+FFFF (lead byte EE or EF): there the first comes first.
int rank(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == 0xEE || byte == 0xEF ? byte + 0x10 : byte;
}

bool before_in_utf16(std::string_view a, std::string_view b) {
  return std::ranges::lexicographical_compare(a, b, {}, rank, rank);
}

struct Member {
  std::string_view name;
  const yyjson_val* value;
};

std::vector<Member> sorted_members(const yyjson_val* object) {
  std::vector<Member> members;
  const auto children = Reader{detail::Unknown::ignore}.keys(object, detail::Path{});
  members.reserve(children.count);
  const yyjson_val* key = children.first;
  for (std::size_t i = 0; i < children.count; ++i) {
    members.push_back({.name = Reader::text_of(key), .value = Reader::value_of(key)});
    key = Reader::next(members.back().value);
  }
  std::ranges::sort(members, before_in_utf16, &Member::name);
  return members;
}

// RFC 8785 knows only doubles. False when the number is beyond them.
bool append_number(std::string& out, yyjson_val* value) {
  double number = 0;
  if (yyjson_is_raw(value)) {
    const std::string_view text{yyjson_get_raw(value), yyjson_get_len(value)};
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec != std::errc{}) return false;
  } else {
    number = yyjson_get_num(value);
  }
  if (!std::isfinite(number)) return false;
  detail::write_number(out, number);
  return true;
}

bool append(std::string& out, const yyjson_val* value);

bool append_object(std::string& out, const yyjson_val* object) {
  out += '{';
  for (const Member& member : sorted_members(object)) {
    if (out.back() != '{') out += ',';
    append_quoted(out, member.name);
    out += ':';
    if (!append(out, member.value)) return false;
  }
  out += '}';
  return true;
}

bool append_array(std::string& out, const yyjson_val* array) {
  const auto children = Reader{detail::Unknown::ignore}.elements(array, detail::Path{});
  const yyjson_val* element = children.first;
  out += '[';
  for (std::size_t i = 0; i < children.count; ++i, element = Reader::next(element)) {
    if (i > 0) out += ',';
    if (!append(out, element)) return false;
  }
  out += ']';
  return true;
}

// Recursion is bounded by the nesting that Document::parse() lets pass.
bool append(std::string& out, const yyjson_val* value) {
  auto* mutable_value = detail::for_yyjson(value);
  if (yyjson_is_obj(mutable_value)) return append_object(out, value);
  if (yyjson_is_arr(mutable_value)) return append_array(out, value);
  if (yyjson_is_str(mutable_value)) {
    append_quoted(out, Reader::text_of(value));
    return true;
  }
  if (yyjson_is_null(mutable_value)) {
    out += "null";
    return true;
  }
  if (yyjson_is_bool(mutable_value)) {
    out += yyjson_get_bool(mutable_value) ? "true" : "false";
    return true;
  }
  return append_number(out, mutable_value);
}

}  // namespace

Result<std::string> canonical(std::string_view text) {
  const auto document = detail::Document::parse(text);
  if (!document) return std::unexpected(document.error());
  std::string out;
  out.reserve(text.size());
  if (!append(out, document->root())) {
    return refuse(ErrorKind::malformed, "malformed_json",
                  "a number is beyond what a double can hold");
  }
  return out;
}

}  // namespace stoa::json
