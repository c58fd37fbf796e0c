#pragma once

#include <span>
#include <string_view>

#include "servicekit/http/server.hpp"

namespace stoa::gateway {

/// A page about one error code, made from contracts/http/problems.d when the gateway is built.
struct ProblemPage {
  std::string_view code;
  std::string_view html;
};

/// Sorted by code. In the generated contracts_embedded.cpp, as are the next two.
std::span<const ProblemPage> problem_pages();
std::string_view problem_index();
/// The OpenAPI documents of all services, merged, as JSON.
std::string_view openapi_json();

/// `GET /health`, `GET /api/v1/openapi.json`, `GET /docs/problems`, `GET /docs/problems/{code}`.
void mount_pages(http::Router& router);

}  // namespace stoa::gateway
