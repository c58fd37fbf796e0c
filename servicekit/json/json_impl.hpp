#pragma once

// The templates behind json.hpp. They only walk the members of a type; everything that does not
// depend on it is compiled once, in reader.cpp and writer.cpp, since every *_json.cpp includes
// this.

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include <boost/pfr/core.hpp>
#include <boost/pfr/core_name.hpp>

struct yyjson_doc;  // NOLINT(readability-identifier-naming): theirs
struct yyjson_val;  // NOLINT(readability-identifier-naming): theirs

namespace stoa::json::detail {

inline constexpr std::size_t nesting_max = 32;
/// More wrong members than this are not told: who sends them learns enough from the first.
inline constexpr std::size_t field_errors_max = 64;

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_patch = false;
template <class T>
inline constexpr bool is_patch<Patch<T>> = true;
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_map = false;
template <class T>
inline constexpr bool is_map<std::map<std::string, T>> = true;

template <class T>
concept Aggregate = std::is_class_v<T> && std::is_aggregate_v<T>;

/// The names of T's members, in order. One trailing underscore is not part of a name, so that a
/// member called like a keyword of C++ can be spelt: `default_`.
template <class T>
consteval auto member_names() {
  std::array<std::string_view, boost::pfr::tuple_size_v<T>> names{};
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((names[I] = std::string_view{boost::pfr::get_name<I, T>()}), ...);
  }(std::make_index_sequence<boost::pfr::tuple_size_v<T>>{});
  for (std::string_view& name : names) {
    if (name.ends_with('_')) name.remove_suffix(1);
  }
  return names;
}

template <class T>
inline constexpr auto names_of = member_names<T>();

/// Where the reader is. Lives on the stack; turned into text only for an error.
struct Path {
  static constexpr std::size_t no_index = static_cast<std::size_t>(-1);

  const Path* up = nullptr;
  std::string_view key{};
  std::size_t index = no_index;

  /// JSON Pointer, RFC 6901.
  std::string pointer() const;
};

/// A parsed document: syntax, UTF-8, duplicates and nesting are already checked.
class Document {
 public:
  /// Errors: malformed_json.
  static Result<Document> parse(std::string_view text);

  const yyjson_val* root() const;

 private:
  struct Free {
    void operator()(yyjson_doc* document) const;
  };
  std::unique_ptr<yyjson_doc, Free> document_;
};

enum class Unknown : std::uint8_t { refuse, ignore };

/// Collects what is wrong with a document while its values are taken out.
class Reader {
 public:
  explicit Reader(Unknown unknown) : unknown_{unknown} {}

  void fail(const Path& path, std::string_view code, std::string_view detail);
  std::optional<Error> error() &&;

  void read(const yyjson_val* value, const Path& path, bool& out);
  void read(const yyjson_val* value, const Path& path, double& out);
  void read(const yyjson_val* value, const Path& path, std::string& out);
  void read(const yyjson_val* value, const Path& path, Raw& out);
  /// Both ends belong to the range. 1.0 is the integer 1, as in JSON Schema.
  std::int64_t read_signed(const yyjson_val* value, const Path& path, std::int64_t min,
                           std::int64_t max);
  std::uint64_t read_unsigned(const yyjson_val* value, const Path& path, std::uint64_t max);

  /// Finds the member of each name; absent ones stay null. False when `value` is no object.
  bool match(const yyjson_val* value, const Path& path, std::span<const std::string_view> names,
             std::span<const yyjson_val*> found);
  void missing(const Path& path);

  /// The elements of an array, or the keys of an object (the value of a key is value_of(key)).
  struct Children {
    std::size_t count = 0;
    const yyjson_val* first = nullptr;
  };
  Children elements(const yyjson_val* value, const Path& path);
  Children keys(const yyjson_val* value, const Path& path);
  static const yyjson_val* next(const yyjson_val* value);
  static const yyjson_val* value_of(const yyjson_val* key);
  static std::string_view text_of(const yyjson_val* key);
  static bool is_null(const yyjson_val* value);

 private:
  Unknown unknown_;
  std::vector<FieldError> errors_;
};

template <class T>
void read_value(Reader& reader, const yyjson_val* value, const Path& path, T& out);

template <class T>
void read_integer(Reader& reader, const yyjson_val* value, const Path& path, T& out) {
  if constexpr (std::is_signed_v<T>) {
    out = static_cast<T>(reader.read_signed(value, path, std::numeric_limits<T>::min(),
                                            std::numeric_limits<T>::max()));
  } else {
    out = static_cast<T>(reader.read_unsigned(value, path, std::numeric_limits<T>::max()));
  }
}

template <class T>
void read_elements(Reader& reader, const yyjson_val* value, const Path& path, T& out) {
  const auto children = reader.elements(value, path);
  out.reserve(children.count);
  const yyjson_val* element = children.first;
  for (std::size_t i = 0; i < children.count; ++i, element = Reader::next(element)) {
    typename T::value_type item{};
    read_value(reader, element, Path{.up = &path, .index = i}, item);
    out.push_back(std::move(item));
  }
}

template <class T>
void read_entries(Reader& reader, const yyjson_val* value, const Path& path, T& out) {
  const auto children = reader.keys(value, path);
  const yyjson_val* key = children.first;
  for (std::size_t i = 0; i < children.count; ++i) {
    const yyjson_val* entry = Reader::value_of(key);
    const std::string_view name = Reader::text_of(key);
    read_value(reader, entry, Path{.up = &path, .key = name}, out[std::string{name}]);
    key = Reader::next(entry);
  }
}

template <class T>
void read_member(Reader& reader, const yyjson_val* value, const Path& path, T& out) {
  if constexpr (is_optional<T>) {
    if (value != nullptr && !Reader::is_null(value)) read_value(reader, value, path, out.emplace());
  } else if constexpr (is_patch<T>) {
    if (value == nullptr) return;
    out.present = true;
    if (!Reader::is_null(value)) read_value(reader, value, path, out.value.emplace());
  } else if (value == nullptr) {
    reader.missing(path);
  } else {
    read_value(reader, value, path, out);
  }
}

template <class T>
void read_members(Reader& reader, const yyjson_val* value, const Path& path, T& out) {
  constexpr auto& names = names_of<T>;
  std::array<const yyjson_val*, names.size()> found{};
  if (!reader.match(value, path, names, found)) return;
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (read_member(reader, found[I], Path{.up = &path, .key = names[I]}, boost::pfr::get<I>(out)),
     ...);
  }(std::make_index_sequence<names.size()>{});
}

template <class T>
void read_value(Reader& reader, const yyjson_val* value, const Path& path, T& out) {
  static_assert(!is_patch<T>, "a Patch is a member of an aggregate, nothing else");
  if constexpr (std::same_as<T, bool> || std::same_as<T, double> || std::same_as<T, std::string> ||
                std::same_as<T, Raw>) {
    reader.read(value, path, out);
  } else if constexpr (std::integral<T>) {
    read_integer(reader, value, path, out);
  } else if constexpr (is_optional<T>) {
    if (!Reader::is_null(value)) read_value(reader, value, path, out.emplace());
  } else if constexpr (is_vector<T>) {
    read_elements(reader, value, path, out);
  } else if constexpr (is_map<T>) {
    read_entries(reader, value, path, out);
  } else {
    static_assert(Aggregate<T>, "this type has no JSON form: see json.hpp for those that have");
    read_members(reader, value, path, out);
  }
}

template <class T>
Result<T> read_document(std::string_view text, Unknown unknown) {
  const auto document = Document::parse(text);
  if (!document) return std::unexpected(document.error());
  Reader reader{unknown};
  T value{};
  read_value(reader, document->root(), Path{}, value);
  if (auto error = std::move(reader).error()) return std::unexpected(std::move(*error));
  return value;
}

void write_number(std::string& out, double number);
void write_signed(std::string& out, std::int64_t number);
void write_unsigned(std::string& out, std::uint64_t number);

template <class T>
void write_value(std::string& out, const T& value);

template <class T>
bool is_left_out(const T& value) {
  if constexpr (is_optional<T>) return !value.has_value();
  if constexpr (is_patch<T>) return !value.present;
  return false;
}

template <class T>
void write_member(std::string& out, std::string_view name, const T& value) {
  if (is_left_out(value)) return;
  if (out.back() != '{') out += ',';
  out += '"';
  out += name;
  out += "\":";
  if constexpr (is_patch<T>) {
    write_value(out, value.value);
  } else {
    write_value(out, value);
  }
}

template <class T>
void write_elements(std::string& out, const std::vector<T>& values) {
  out += '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    write_value(out, static_cast<const T&>(values[i]));
  }
  out += ']';
}

template <class T>
void write_entries(std::string& out, const std::map<std::string, T>& values) {
  out += '{';
  for (const auto& [name, value] : values) {
    if (out.back() != '{') out += ',';
    append_quoted(out, name);
    out += ':';
    write_value(out, value);
  }
  out += '}';
}

template <class T>
void write_value(std::string& out, const T& value) {
  if constexpr (std::same_as<T, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::same_as<T, double>) {
    write_number(out, value);
  } else if constexpr (std::signed_integral<T>) {
    write_signed(out, value);
  } else if constexpr (std::unsigned_integral<T>) {
    write_unsigned(out, value);
  } else if constexpr (std::convertible_to<const T&, std::string_view>) {
    append_quoted(out, value);
  } else if constexpr (std::same_as<T, Raw>) {
    out += value.text;
  } else if constexpr (is_optional<T>) {
    if (value) {
      write_value(out, *value);
    } else {
      out += "null";
    }
  } else if constexpr (is_vector<T>) {
    write_elements(out, value);
  } else if constexpr (is_map<T>) {
    write_entries(out, value);
  } else {
    static_assert(Aggregate<T>, "this type has no JSON form: see json.hpp for those that have");
    constexpr auto& names = names_of<T>;
    out += '{';
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (write_member(out, names[I], boost::pfr::get<I>(value)), ...);
    }(std::make_index_sequence<names.size()>{});
    out += '}';
  }
}

}  // namespace stoa::json::detail

namespace stoa::json {

template <class T>
Result<T> read(std::string_view text) {
  return detail::read_document<T>(text, detail::Unknown::refuse);
}

template <class T>
Result<T> read_lenient(std::string_view text) {
  return detail::read_document<T>(text, detail::Unknown::ignore);
}

template <class T>
std::string write(const T& value) {
  constexpr std::size_t usual_bytes = 512;
  std::string out;
  out.reserve(usual_bytes);
  detail::write_value(out, value);
  return out;
}

}  // namespace stoa::json
