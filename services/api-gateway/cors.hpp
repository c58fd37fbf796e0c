#pragma once

#include <string>
#include <vector>

#include "servicekit/http/server.hpp"

namespace stoa::gateway {

/// Cross-origin access (the Fetch standard) for the pages of configured origins. Tokens travel in
/// `Authorization`, so credentials are never allowed.
class Cors {
 public:
  explicit Cors(std::vector<std::string> origins) : origins_{std::move(origins)} {}

  /// Whether this is a browser asking for permission, rather than for the resource.
  static bool is_preflight(const http::Request& request);
  /// 204 with what is allowed; without any permission for a foreign origin.
  http::Response answer_preflight(const http::Request& request) const;
  /// Adds the headers to any other answer.
  void allow(const http::Request& request, http::Response& response) const;

 private:
  bool knows(std::string_view origin) const;

  std::vector<std::string> origins_;
};

}  // namespace stoa::gateway
