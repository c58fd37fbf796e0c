#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// Comma-separated values (RFC 4180) as spreadsheets and shops write them, read piece by piece.
namespace stoa::product {

inline constexpr std::size_t csv_columns_max = 256;
inline constexpr std::size_t csv_field_bytes_max = 512 * 1024;
inline constexpr std::size_t csv_record_bytes_max = 1024 * 1024;

/// Where reading begins: the start of the file, or the end of a record that was read before.
struct CsvPosition {
  std::uint64_t byte = 0;
  std::int64_t line = 1;  ///< of the file, as an editor counts

  friend bool operator==(const CsvPosition&, const CsvPosition&) = default;
};

struct CsvRecord {
  std::int64_t line = 0;  ///< where the record begins
  std::vector<std::string> fields{};
  std::vector<std::int64_t> field_lines{};  ///< where each field begins: a record may span lines
  CsvPosition end{};                        ///< where the next record begins
};

/// A record that cannot be used. Reading goes on behind it.
struct CsvProblem {
  std::int64_t line = 0;      ///< of the offending field
  std::size_t field = 0;      ///< its index
  std::string_view code{};    ///< unterminated_quote, stray_quote, invalid_character, invalid_utf8,
                              ///< field_too_long, record_too_long, too_many_columns
  std::string first_field{};  ///< what the record begins with, to tell whose it is
  CsvPosition end{};
};

using CsvItem = std::variant<CsvRecord, CsvProblem>;

/// Pull parser: push() bytes as they come, take items with next(), finish() at the end of the file.
///
/// Takes LF, CRLF and CR as line ends, a leading byte order mark, and a quote inside of an unquoted
/// field as data. Empty lines are skipped. A broken quote spoils the line it stands on, not the
/// rest of the file: reading goes on at the next line. Holds at most csv_record_bytes_max and what
/// was pushed since.
class CsvReader {
 public:
  explicit CsvReader(CsvPosition start = {}) : position_{start} {}

  void push(std::string_view bytes);
  void finish() { finished_ = true; }

  /// Empty when more bytes are needed, or at the end.
  std::optional<CsvItem> next();

 private:
  struct Scan;
  struct Field;

  bool skip_blank();
  bool read_record(Scan& scan) const;
  bool read_field(Scan& scan) const;
  bool read_quoted(Scan& scan, Field& field) const;
  bool read_bare(Scan& scan, Field& field) const;
  void keep(Scan& scan, Field field) const;
  std::size_t line_end_at(std::size_t at) const;
  bool first_line_ends() const;
  CsvPosition end_of_first_line() const;
  CsvItem take(Scan scan);
  void move_to(CsvPosition position);

  std::string buffer_{};  ///< from `start_` on not yet taken
  std::size_t start_ = 0;
  CsvPosition position_;  ///< of buffer_[start_]
  bool finished_ = false;
};

}  // namespace stoa::product
