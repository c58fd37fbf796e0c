#include "services/product-service/adapters/http_conditions.hpp"

#include <charconv>
#include <format>
#include <span>
#include <utility>

#include "servicekit/core/encoding.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/postgres/idempotency.hpp"

namespace stoa::product {
namespace {

constexpr std::size_t body_hash_bytes = 8;

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

/// The version in `"7-0123456789abcdef"`.
std::optional<std::int64_t> version_in(std::string_view etag) {
  if (etag.size() < 3 || !etag.starts_with('"') || !etag.ends_with('"')) return std::nullopt;
  const std::string_view inside = etag.substr(1, etag.size() - 2);
  std::int64_t version = 0;
  const auto [end, error] = std::from_chars(inside.data(), inside.data() + inside.size(), version);
  const bool separated = end != inside.data() + inside.size() && *end == '-';
  if (error != std::errc{} || !separated) return std::nullopt;
  return version;
}

}  // namespace

std::string etag_of(const Product& product, std::string_view body) {
  const auto digest = crypto::sha256(body);
  return std::format("\"{}-{}\"", product.version, hex(std::span{digest}.first<body_hash_bytes>()));
}

bool none_match_names(std::string_view header, std::string_view etag) {
  while (!header.empty()) {
    const auto end = std::min(header.find(','), header.size());
    std::string_view candidate = trimmed(header.substr(0, end));
    header.remove_prefix(std::min(end + 1, header.size()));
    if (candidate == "*") return true;
    if (candidate.starts_with("W/")) candidate.remove_prefix(2);
    if (candidate == etag) return true;
  }
  return false;
}

Result<std::optional<std::int64_t>> if_match_version(const http::Request& request) {
  const std::string_view header = trimmed(request.header("if-match"));
  if (header.empty()) {
    return refuse(ErrorKind::precondition_required, "if_match_required",
                  "an edit needs If-Match with the ETag of what was read");
  }
  if (header == "*") return std::optional<std::int64_t>{};
  const auto version = version_in(header);
  if (!version) {
    return refuse(ErrorKind::precondition_failed, "etag_mismatch",
                  "If-Match does not name the ETag of this product");
  }
  return version;
}

Result<std::optional<RequestKey>> request_key(const http::Request& request) {
  auto key = postgres::idempotency_key(request, false);
  if (!key) return std::unexpected(std::move(key.error()));
  if (!*key) return std::nullopt;
  return RequestKey{.origin = (*key)->origin,
                    .caller = std::move((*key)->caller),
                    .fingerprint = std::move((*key)->fingerprint)};
}

http::Response to_response(Answer answer) {
  return {.status = answer.status,
          .body = std::move(answer.body),
          .headers = std::move(answer.headers)};
}

std::string actor_of(const http::Request& request) { return request.identity().user.str(); }

}  // namespace stoa::product
