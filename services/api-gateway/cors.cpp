#include "services/api-gateway/cors.hpp"

#include <algorithm>

namespace stoa::gateway {

bool Cors::knows(std::string_view origin) const { return std::ranges::contains(origins_, origin); }

bool Cors::is_preflight(const http::Request& request) {
  return request.method() == http::Method::options && !request.header("origin").empty() &&
         !request.header("access-control-request-method").empty();
}

http::Response Cors::answer_preflight(const http::Request& request) const {
  http::Response response = http::no_content();
  if (!knows(request.header("origin"))) return response;
  response.add_header("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
  response.add_header("access-control-allow-headers",
                      "authorization, content-type, idempotency-key, if-match, if-none-match, "
                      "traceparent, x-request-id");
  response.add_header("access-control-max-age", "600");
  return response;
}

void Cors::allow(const http::Request& request, http::Response& response) const {
  if (origins_.empty()) return;
  // Also where nothing is allowed: a cache must not give one origin the answer of another.
  response.add_header("vary", "origin");
  const std::string_view origin = request.header("origin");
  if (!knows(origin)) return;
  response.add_header("access-control-allow-origin", origin);
  response.add_header("access-control-expose-headers",
                      "etag, idempotent-replayed, link, location, ratelimit, ratelimit-policy, "
                      "retry-after, x-request-id");
}

}  // namespace stoa::gateway
