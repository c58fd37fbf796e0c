#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "servicekit/core/error.hpp"
#include "servicekit/http/detail/parser.hpp"
#include "servicekit/http/server.hpp"

namespace stoa::http::detail {

inline constexpr std::string_view problem_type = "application/problem+json";

/// The reason phrase of RFC 9110 section 15, "Status" for others.
std::string_view reason(int status);

void append_number(std::string& out, std::uint64_t value);

/// "Sun, 22 Nov 2026 21:45:01 GMT" of now (RFC 9110 section 5.6.7).
std::string http_date();

struct HeadFacts {
  std::string_view date;
  std::string_view request_id{};
  bool keep_alive = true;
  bool chunked = false;                   ///< the body follows in chunks
  std::optional<std::uint64_t> length{};  ///< of the body; neither: it ends with the connection
};

/// Status line and headers, up to and including the empty line.
void append_head(std::string& out, const Response& response, const HeadFacts& facts);

/// A problem with `instance` and `trace_id` in its place, as the wire tells it.
void complete_problem(Response& response, std::string_view path, std::string_view trace_id);

/// The title that contracts/http/problems.d gives a code, "" when it has none.
std::string_view contract_title(std::string_view code);

/// A problem that has no ErrorKind of its own.
Response make_problem(int status, std::string_view code, std::string_view detail, bool retryable,
                      const std::vector<FieldError>& fields = {});

Response problem_of(const Refusal& refusal);

}  // namespace stoa::http::detail
