#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stoa {

/// What the caller can do about it. Closed on purpose: servicekit/http maps each
/// kind to one HTTP status, so a new kind is an API decision.
enum class ErrorKind : std::uint8_t {
  malformed,
  invalid,
  unauthenticated,
  payment_required,
  forbidden,
  not_found,
  conflict,
  precondition_failed,
  precondition_required,
  too_large,
  unsupported_media,
  too_many,
};

/// One wrong member of an input, told by JSON Pointer (RFC 6901), "" being the whole document.
struct FieldError {
  std::string pointer;
  std::string code;
  std::string detail;

  friend bool operator==(const FieldError&, const FieldError&) = default;
};

struct Error {
  ErrorKind kind{};
  std::string_view code;  ///< stable machine name, a literal: "too_many_lines"
  std::string detail;     ///< for humans; never holds personal data
  std::vector<FieldError> fields{};
  std::optional<std::chrono::seconds> retry_after{};  ///< becomes Retry-After
};

template <class T>
using Result = std::expected<T, Error>;

/// An answer that is a refusal: `return refuse(ErrorKind::conflict, "out_of_stock", "…");`
inline std::unexpected<Error> refuse(ErrorKind kind, std::string_view code, std::string detail,
                                     std::vector<FieldError> fields = {}) {
  return std::unexpected(
      Error{.kind = kind, .code = code, .detail = std::move(detail), .fields = std::move(fields)});
}

}  // namespace stoa
