#include <charconv>

#include <libpq-fe.h>

#include "servicekit/core/require.hpp"
#include "servicekit/postgres/database.hpp"

namespace stoa::postgres {
namespace {

// Array literals, section 8.15.2 of the PostgreSQL manual: every element quoted, so that neither a
// comma nor the word NULL is read as syntax.
void append_element(std::string& into, std::string_view element) {
  into += '"';
  for (const char c : element) {
    if (c == '"' || c == '\\') into += '\\';
    into += c;
  }
  into += '"';
}

template <class Items, class Append>
Param array_of(const Items& items, Append append) {
  std::string text = "{";
  for (const auto& item : items) {
    if (text.size() > 1) text += ',';
    append(text, item);
  }
  text += '}';
  return text;
}

}  // namespace

Param param(const Uuid& id) { return id.str(); }

Param param(Instant instant) { return rfc3339(instant); }

Param array(const std::vector<std::string>& values) { return array_of(values, append_element); }

Param array(const std::vector<std::int64_t>& values) {
  return array_of(values,
                  [](std::string& into, std::int64_t value) { into += std::to_string(value); });
}

Param array(const std::vector<Uuid>& values) {
  return array_of(values, [](std::string& into, const Uuid& value) { into += value.str(); });
}

Param array(const std::vector<std::optional<std::string>>& values) {
  return array_of(values, [](std::string& into, const std::optional<std::string>& value) {
    if (value) {
      append_element(into, *value);
    } else {
      into += "NULL";
    }
  });
}

std::string_view Row::text(int column) const {
  require(column < PQnfields(result_), "a row is read within its columns");
  return {PQgetvalue(result_, row_, column),
          static_cast<std::size_t>(PQgetlength(result_, row_, column))};
}

bool Row::is_null(int column) const {
  require(column < PQnfields(result_), "a row is read within its columns");
  return PQgetisnull(result_, row_, column) == 1;
}

bool Row::flag(int column) const { return text(column) == "t"; }

std::int64_t Row::number(int column) const {
  const std::string_view digits = text(column);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  require(error == std::errc{} && end == digits.data() + digits.size(),
          "a column read as a number is an integer that is not null");
  return value;
}

Uuid Row::uuid(int column) const {
  const auto id = Uuid::parse(text(column));
  require(id.has_value(), "a column read as a UUID is one and is not null");
  return *id;
}

Instant Row::instant(int column) const {
  return Instant{std::chrono::milliseconds{number(column)}};
}

std::optional<std::string> Row::optional_text(int column) const {
  if (is_null(column)) return std::nullopt;
  return std::string{text(column)};
}

Rows::Rows(pg_result* result) : result_{result, &PQclear} {}

std::size_t Rows::size() const {
  return result_ ? static_cast<std::size_t>(PQntuples(result_.get())) : 0;
}

Row Rows::operator[](std::size_t index) const {
  require(index < size(), "rows are read within their number");
  return Row{result_.get(), static_cast<int>(index)};
}

std::int64_t Rows::affected() const {
  const std::string_view digits = result_ ? PQcmdTuples(result_.get()) : "";
  std::int64_t count = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), count);
  return count;
}

std::string_view Rows::command_tag() const { return result_ ? PQcmdStatus(result_.get()) : ""; }

SqlError::SqlError(std::string sqlstate, const std::string& message)
    : std::runtime_error{sqlstate + ": " + message}, sqlstate_{std::move(sqlstate)} {}

}  // namespace stoa::postgres
