#include "services/product-service/domain/csv.hpp"

#include <algorithm>
#include <utility>

#include "servicekit/core/encoding.hpp"

namespace stoa::product {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
constexpr std::size_t first_field_bytes_max = 255;

}  // namespace

struct CsvReader::Field {
  std::string text;
  std::int64_t line = 0;
};

/// One attempt to read a record: it is thrown away when the bytes do not reach.
struct CsvReader::Scan {
  std::size_t at = 0;
  std::int64_t line = 1;
  CsvRecord record{};
  std::size_t field_count = 0;
  std::string_view broken{};   ///< a quoting error: the record's extent is unknown
  std::string_view refused{};  ///< the record's extent is known, its content is not acceptable
  std::int64_t problem_line = 0;
  std::size_t problem_field = 0;
  bool ended = false;

  void refuse(std::string_view code, std::int64_t at_line) {
    if (!refused.empty()) return;
    refused = code;
    problem_line = at_line;
    problem_field = field_count;
  }
  void break_at(std::string_view code, std::int64_t at_line) {
    broken = code;
    problem_line = at_line;
    problem_field = field_count;
  }
};

void CsvReader::push(std::string_view bytes) {
  // What was taken is dropped here, once a push, and not with each record.
  buffer_.erase(0, start_);
  start_ = 0;
  buffer_ += bytes;
}

std::optional<CsvItem> CsvReader::next() {
  if (!skip_blank()) return std::nullopt;

  Scan scan{.at = start_, .line = position_.line, .record = {.line = position_.line}};
  const bool whole = read_record(scan);
  if (whole && scan.broken.empty()) return take(std::move(scan));
  const bool too_long = buffer_.size() - start_ > csv_record_bytes_max;
  // A broken record ends with its first line, which must be here: what came of it later would be
  // read as a record of its own.
  const bool ends = whole && first_line_ends();
  if (!ends && !finished_ && !too_long) return std::nullopt;

  if (!whole) scan.break_at(finished_ ? "unterminated_quote" : "record_too_long", scan.line);
  return take(std::move(scan));
}

/// Past byte order mark and empty lines. False when nothing is left to read for now.
bool CsvReader::skip_blank() {
  if (position_.byte == 0) {
    const std::string_view head = std::string_view{buffer_}.substr(0, byte_order_mark.size());
    if (head.size() < byte_order_mark.size() && byte_order_mark.starts_with(head) && !finished_) {
      return false;
    }
    if (head == byte_order_mark) move_to({.byte = head.size(), .line = position_.line});
  }
  while (start_ < buffer_.size()) {
    const std::size_t length = line_end_at(start_);
    if (length == 0) return true;
    const bool undecided = buffer_[start_] == '\r' && start_ + 1 == buffer_.size() && !finished_;
    if (undecided) return false;
    move_to({.byte = position_.byte + length, .line = position_.line + 1});
  }
  return false;
}

/// How many bytes the line end at `at` has, 0 when there is none.
std::size_t CsvReader::line_end_at(std::size_t at) const {
  if (buffer_[at] == '\n') return 1;
  if (buffer_[at] != '\r') return 0;
  return at + 1 < buffer_.size() && buffer_[at + 1] == '\n' ? 2 : 1;
}

/// False when the bytes do not reach to the record's end.
bool CsvReader::read_record(Scan& scan) const {
  while (!scan.ended) {
    if (!read_field(scan)) return false;
    if (!scan.broken.empty()) return true;
    ++scan.field_count;
  }
  if (scan.at - start_ > csv_record_bytes_max) scan.refuse("record_too_long", scan.record.line);
  return true;
}

bool CsvReader::read_field(Scan& scan) const {
  Field field{.text = {}, .line = scan.line};
  const bool quoted = scan.at < buffer_.size() && buffer_[scan.at] == '"';
  if (!(quoted ? read_quoted(scan, field) : read_bare(scan, field))) return false;
  if (!scan.broken.empty()) return true;
  keep(scan, std::move(field));

  // Behind a field: a comma, a line end or the end of the file.
  if (scan.at == buffer_.size()) {
    scan.ended = true;
    return finished_;
  }
  if (buffer_[scan.at] == ',') {
    ++scan.at;
    return true;
  }
  if (buffer_[scan.at] == '\r' && scan.at + 1 == buffer_.size() && !finished_) return false;
  scan.at += line_end_at(scan.at);
  ++scan.line;
  scan.ended = true;
  return true;
}

bool CsvReader::read_quoted(Scan& scan, Field& field) const {
  for (std::size_t at = scan.at + 1; at < buffer_.size(); ++at) {
    if (at - start_ > csv_record_bytes_max) {
      scan.break_at("unterminated_quote", field.line);
      return true;
    }
    const char c = buffer_[at];
    if (c != '"') {
      // A CR before its LF is counted with the LF.
      const bool line_end =
          c == '\n' || (c == '\r' && at + 1 < buffer_.size() && buffer_[at + 1] != '\n');
      if (line_end) ++scan.line;
      field.text += c;
      continue;
    }
    if (at + 1 == buffer_.size() && !finished_) return false;
    if (at + 1 < buffer_.size() && buffer_[at + 1] == '"') {
      field.text += '"';
      ++at;
      continue;
    }
    scan.at = at + 1;
    const bool closed = scan.at == buffer_.size() || buffer_[scan.at] == ',' ||
                        buffer_[scan.at] == '\n' || buffer_[scan.at] == '\r';
    if (!closed) scan.break_at("stray_quote", scan.line);
    return true;
  }
  if (finished_) scan.break_at("unterminated_quote", field.line);
  return finished_;
}

bool CsvReader::read_bare(Scan& scan, Field& field) const {
  const auto end = buffer_.find_first_of(",\r\n", scan.at);
  if (end == std::string::npos && !finished_) return false;
  const std::size_t stop = std::min(end, buffer_.size());
  field.text.assign(buffer_, scan.at, stop - scan.at);
  scan.at = stop;
  return true;
}

void CsvReader::keep(Scan& scan, Field field) const {
  if (scan.field_count >= csv_columns_max) return scan.refuse("too_many_columns", field.line);
  if (field.text.size() > csv_field_bytes_max) {
    scan.refuse("field_too_long", field.line);
    field.text.clear();
  } else if (field.text.contains('\0')) {
    scan.refuse("invalid_character", field.line);
  } else if (!valid_utf8(field.text)) {
    scan.refuse("invalid_utf8", field.line);
  }
  scan.record.field_lines.push_back(field.line);
  scan.record.fields.push_back(std::move(field.text));
}

CsvItem CsvReader::take(Scan scan) {
  const CsvPosition end =
      scan.broken.empty()
          ? CsvPosition{.byte = position_.byte + (scan.at - start_), .line = scan.line}
          : end_of_first_line();
  const std::string_view code = scan.broken.empty() ? scan.refused : scan.broken;
  if (code.empty()) {
    scan.record.end = end;
    move_to(end);
    return std::move(scan.record);
  }
  std::string first = scan.record.fields.empty() ? std::string{} : scan.record.fields.front();
  if (first.size() > first_field_bytes_max || !valid_utf8(first) || first.contains('\0')) {
    first.clear();
  }
  move_to(end);
  return CsvProblem{.line = scan.problem_line,
                    .field = scan.problem_field,
                    .code = code,
                    .first_field = std::move(first),
                    .end = end};
}

/// Whether the end of the line at `start_` is here, the LF after a CR included.
bool CsvReader::first_line_ends() const {
  const auto found = buffer_.find_first_of("\r\n", start_);
  if (found == std::string::npos) return false;
  return buffer_[found] == '\n' || found + 1 < buffer_.size();
}

CsvPosition CsvReader::end_of_first_line() const {
  const auto found = buffer_.find_first_of("\r\n", start_);
  if (found == std::string::npos) {
    // A line longer than a record may be: what is here is dropped, the line goes on.
    return {.byte = position_.byte + (buffer_.size() - start_), .line = position_.line};
  }
  return {.byte = position_.byte + (found - start_) + line_end_at(found),
          .line = position_.line + 1};
}

void CsvReader::move_to(CsvPosition position) {
  start_ += static_cast<std::size_t>(position.byte - position_.byte);
  position_ = position;
}

}  // namespace stoa::product
