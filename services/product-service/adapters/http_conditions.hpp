#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "servicekit/http/server.hpp"

#include "services/product-service/app/ports.hpp"

// Headers that make a request conditional (RFC 9110 section 13) or repeatable.
namespace stoa::product {

/// The strong ETag of a product: its version, then what tells apart bodies of one version, because
/// a variant may sell out without an edit.
std::string etag_of(const Product& product, std::string_view body);

/// Whether If-None-Match names `etag` (weak comparison).
bool none_match_names(std::string_view header, std::string_view etag);

/// The version an editor saw, from If-Match; empty for `*`. An edit is only stale when the product
/// was edited, not when it sold out: the version alone is compared.
/// Errors: if_match_required (precondition_required), etag_mismatch (precondition_failed).
Result<std::optional<std::int64_t>> if_match_version(const http::Request& request);

/// The optional Idempotency-Key of a POST. Errors: bad_idempotency_key, malformed_json.
Result<std::optional<RequestKey>> request_key(const http::Request& request);

http::Response to_response(Answer answer);

/// Who writes, for journals: "usr_…".
std::string actor_of(const http::Request& request);

}  // namespace stoa::product
