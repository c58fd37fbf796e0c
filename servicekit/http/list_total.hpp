#pragma once

#include "servicekit/core/error.hpp"
#include "servicekit/http/server.hpp"

namespace stoa::http {

/// The parameter of every list by which a client asks for its `total`.
inline constexpr std::string_view include_total = "include_total";

/// Whether `include_total=estimate` was given: the only total there is.
/// Errors: bad_parameter (malformed).
Result<bool> wants_total(const QueryString& query);

}  // namespace stoa::http
