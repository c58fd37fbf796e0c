#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <format>
#include <unordered_set>

#include "servicekit/json/json.hpp"
#include "servicekit/json/yyjson_value.hpp"

namespace stoa::json::detail {
namespace {

// Up to here an object's members are compared pair by pair; beyond, by a set.
constexpr std::size_t pairwise_max = 16;
// The largest integers that a double holds exactly, either way (RFC 8259 section 6).
constexpr double exact_max = 9'007'199'254'740'991.0;

std::string_view text_in(const yyjson_val* value) {
  auto* mutable_value = for_yyjson(value);
  return {unsafe_yyjson_get_str(mutable_value), unsafe_yyjson_get_len(mutable_value)};
}

bool has_nul(std::string_view text) { return text.contains('\0'); }

bool few_have_duplicate(const yyjson_val* object, std::size_t count) {
  std::array<std::string_view, pairwise_max> seen;
  const yyjson_val* key = unsafe_yyjson_get_first(for_yyjson(object));
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view name = text_in(key);
    if (std::find(seen.begin(), seen.begin() + static_cast<std::ptrdiff_t>(i), name) !=
        seen.begin() + static_cast<std::ptrdiff_t>(i)) {
      return true;
    }
    seen[i] = name;
    key = Reader::next(Reader::value_of(key));
  }
  return false;
}

bool many_have_duplicate(const yyjson_val* object, std::size_t count) {
  std::unordered_set<std::string_view> seen;
  seen.reserve(count);
  const yyjson_val* key = unsafe_yyjson_get_first(for_yyjson(object));
  for (std::size_t i = 0; i < count; ++i) {
    if (!seen.insert(text_in(key)).second) return true;
    key = Reader::next(Reader::value_of(key));
  }
  return false;
}

// What yyjson lets pass and we do not. Returns why, or nothing. Recursion ends at nesting_max.
std::optional<std::string_view> objection(const yyjson_val* value, std::size_t depth) {
  auto* mutable_value = for_yyjson(value);
  if (yyjson_is_str(mutable_value)) {
    if (has_nul(text_in(value))) return "a string holds NUL";
    return std::nullopt;
  }
  if (!yyjson_is_ctn(mutable_value)) return std::nullopt;
  if (depth == nesting_max) return "nested too deeply";

  const bool is_object = yyjson_is_obj(mutable_value);
  const std::size_t count = unsafe_yyjson_get_len(mutable_value);
  const yyjson_val* child = count == 0 ? nullptr : unsafe_yyjson_get_first(mutable_value);
  for (std::size_t i = 0; i < count; ++i) {
    if (is_object) {
      if (has_nul(text_in(child))) return "a member's name holds NUL";
      child = Reader::value_of(child);
    }
    if (const auto why = objection(child, depth + 1)) return why;
    child = Reader::next(child);
  }
  if (!is_object || count < 2) return std::nullopt;
  const bool duplicate =
      count <= pairwise_max ? few_have_duplicate(value, count) : many_have_duplicate(value, count);
  if (duplicate) return "an object names a member twice";
  return std::nullopt;
}

void append_escaped(std::string& out, std::string_view key) {
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
}

}  // namespace

std::string Path::pointer() const {
  if (up == nullptr) return "";
  std::string text = up->pointer();
  text += '/';
  if (index != no_index) {
    text += std::to_string(index);
  } else {
    append_escaped(text, key);
  }
  return text;
}

void Document::Free::operator()(yyjson_doc* document) const { yyjson_doc_free(document); }

const yyjson_val* Document::root() const { return yyjson_doc_get_root(document_.get()); }

Result<Document> Document::parse(std::string_view text) {
  yyjson_read_err error{};
  Document parsed;
  // Without YYJSON_READ_INSITU the text is not written to. Numbers beyond 64 bits stay text, so
  // that they are told as out of range and not rounded.
  auto* bytes = const_cast<char*>(text.data());  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  parsed.document_.reset(
      yyjson_read_opts(bytes, text.size(), YYJSON_READ_BIGNUM_AS_RAW, nullptr, &error));
  if (parsed.document_ == nullptr) {
    return refuse(ErrorKind::malformed, "malformed_json",
                  std::format("{} at byte {}", error.msg, error.pos));
  }
  if (const auto why = objection(parsed.root(), 0)) {
    return refuse(ErrorKind::malformed, "malformed_json", std::string{*why});
  }
  return parsed;
}

void Reader::fail(const Path& path, std::string_view code, std::string_view detail) {
  if (errors_.size() == field_errors_max) return;
  errors_.push_back(
      {.pointer = path.pointer(), .code = std::string{code}, .detail = std::string{detail}});
}

std::optional<Error> Reader::error() && {
  if (errors_.empty()) return std::nullopt;
  return Error{.kind = ErrorKind::invalid,
               .code = "invalid_body",
               .detail = "the document does not have the expected members",
               .fields = std::move(errors_)};
}

void Reader::read(const yyjson_val* value, const Path& path, bool& out) {
  auto* mutable_value = for_yyjson(value);
  if (!yyjson_is_bool(mutable_value)) return fail(path, "wrong_type", "expected true or false");
  out = unsafe_yyjson_get_bool(mutable_value);
}

void Reader::read(const yyjson_val* value, const Path& path, double& out) {
  auto* mutable_value = for_yyjson(value);
  if (yyjson_is_raw(mutable_value)) return fail(path, "out_of_range", "too large a number");
  if (!yyjson_is_num(mutable_value)) return fail(path, "wrong_type", "expected a number");
  out = unsafe_yyjson_get_num(mutable_value);
}

void Reader::read(const yyjson_val* value, const Path& path, std::string& out) {
  if (!yyjson_is_str(for_yyjson(value))) {
    return fail(path, "wrong_type", "expected a string");
  }
  out.assign(text_in(value));
}

void Reader::read(const yyjson_val* value, const Path& path, Raw& out) {
  std::size_t length = 0;
  char* text = yyjson_val_write(for_yyjson(value), YYJSON_WRITE_NOFLAG, &length);
  if (text == nullptr) return fail(path, "wrong_type", "expected a value that can be written");
  out.text.assign(text, length);
  std::free(text);  // NOLINT(cppcoreguidelines-no-malloc): yyjson's own allocator
}

std::int64_t Reader::read_signed(const yyjson_val* value, const Path& path, std::int64_t min,
                                 std::int64_t max) {
  auto* mutable_value = for_yyjson(value);
  const auto out_of_range = [&] {
    fail(path, "out_of_range", std::format("expected {} to {}", min, max));
    return std::int64_t{0};
  };
  if (yyjson_is_raw(mutable_value)) return out_of_range();
  std::int64_t number = 0;
  if (yyjson_is_uint(mutable_value)) {
    const std::uint64_t wide = unsafe_yyjson_get_uint(mutable_value);
    if (!std::in_range<std::int64_t>(wide)) return out_of_range();
    number = static_cast<std::int64_t>(wide);
  } else if (yyjson_is_sint(mutable_value)) {
    number = unsafe_yyjson_get_sint(mutable_value);
  } else if (yyjson_is_real(mutable_value)) {
    const double real = unsafe_yyjson_get_real(mutable_value);
    if (std::abs(real) > exact_max) return out_of_range();
    number = static_cast<std::int64_t>(real);
    if (static_cast<double>(number) != real) {
      fail(path, "wrong_type", "expected an integer");
      return 0;
    }
  } else {
    fail(path, "wrong_type", "expected an integer");
    return 0;
  }
  if (number < min || number > max) return out_of_range();
  return number;
}

std::uint64_t Reader::read_unsigned(const yyjson_val* value, const Path& path, std::uint64_t max) {
  auto* mutable_value = for_yyjson(value);
  if (yyjson_is_uint(mutable_value) && unsafe_yyjson_get_uint(mutable_value) <= max) {
    return unsafe_yyjson_get_uint(mutable_value);
  }
  constexpr auto signed_max = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  return static_cast<std::uint64_t>(
      read_signed(value, path, 0, static_cast<std::int64_t>(std::min(max, signed_max))));
}

bool Reader::match(const yyjson_val* value, const Path& path,
                   std::span<const std::string_view> names, std::span<const yyjson_val*> found) {
  auto* object = for_yyjson(value);
  if (!yyjson_is_obj(object)) {
    fail(path, "wrong_type", "expected an object");
    return false;
  }
  const std::size_t count = unsafe_yyjson_get_len(object);
  if (count == 0) return true;
  const yyjson_val* key = unsafe_yyjson_get_first(object);
  std::size_t guess = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view name = text_of(key);
    const yyjson_val* member = value_of(key);
    // Members mostly come in the order of the type, so the search starts where the last one ended.
    std::size_t at = names.size();
    for (std::size_t step = 0; step < names.size(); ++step) {
      const std::size_t candidate = (guess + step) % names.size();
      if (names[candidate] == name) {
        at = candidate;
        break;
      }
    }
    if (at != names.size()) {
      found[at] = member;
      guess = at + 1;
    } else if (unknown_ == Unknown::refuse) {
      fail(Path{.up = &path, .key = name}, "unknown_member", "there is no such member");
    }
    key = next(member);
  }
  return true;
}

void Reader::missing(const Path& path) { fail(path, "required", "this member is required"); }

Reader::Children Reader::elements(const yyjson_val* value, const Path& path) {
  auto* array = for_yyjson(value);
  if (!yyjson_is_arr(array)) {
    fail(path, "wrong_type", "expected an array");
    return {};
  }
  const std::size_t count = unsafe_yyjson_get_len(array);
  return {.count = count, .first = count == 0 ? nullptr : unsafe_yyjson_get_first(array)};
}

Reader::Children Reader::keys(const yyjson_val* value, const Path& path) {
  auto* object = for_yyjson(value);
  if (!yyjson_is_obj(object)) {
    fail(path, "wrong_type", "expected an object");
    return {};
  }
  const std::size_t count = unsafe_yyjson_get_len(object);
  return {.count = count, .first = count == 0 ? nullptr : unsafe_yyjson_get_first(object)};
}

const yyjson_val* Reader::next(const yyjson_val* value) {
  return unsafe_yyjson_get_next(for_yyjson(value));
}

// In yyjson's flat layout the value of a member stands behind its key.
const yyjson_val* Reader::value_of(const yyjson_val* key) { return key + 1; }

std::string_view Reader::text_of(const yyjson_val* key) { return text_in(key); }

bool Reader::is_null(const yyjson_val* value) { return yyjson_is_null(for_yyjson(value)); }

}  // namespace stoa::json::detail
