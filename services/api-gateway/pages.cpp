#include "services/api-gateway/pages.hpp"

#include <algorithm>

namespace stoa::gateway {
namespace {

constexpr std::string_view html_type = "text/html; charset=utf-8";

http::Response cached(http::Response response) {
  response.add_header("cache-control", "public, max-age=300");
  return response;
}

http::Response page(std::string_view html) {
  http::Response response{.body = std::string{html}, .content_type = html_type};
  // The pages are static text: nothing on them may run or load.
  response.add_header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'");
  response.add_header("x-content-type-options", "nosniff");
  return cached(std::move(response));
}

Task<http::Response> show_health(Context, http::Request) {
  http::Response response = http::ok(R"({"status":"ok","service":"api-gateway"})");
  response.add_header("cache-control", "no-store");
  co_return response;
}

Task<http::Response> show_openapi(Context, http::Request) {
  co_return cached(http::ok(std::string{openapi_json()}));
}

Task<http::Response> show_problem_index(Context, http::Request) { co_return page(problem_index()); }

Task<http::Response> show_problem(Context, http::Request request) {
  const auto pages = problem_pages();
  const auto found = std::ranges::lower_bound(pages, std::string_view{request.param("code")}, {},
                                              &ProblemPage::code);
  if (found == pages.end() || found->code != request.param("code")) {
    co_return http::problem({.kind = ErrorKind::not_found,
                             .code = "problem_not_found",
                             .detail = "no error has this code"});
  }
  co_return page(found->html);
}

}  // namespace

void mount_pages(http::Router& router) {
  router.get("/health", http::anyone, show_health);
  router.get("/api/v1/openapi.json", http::anyone, show_openapi);
  router.get("/docs/problems", http::anyone, show_problem_index);
  router.get("/docs/problems/{code}", http::anyone, show_problem);
}

}  // namespace stoa::gateway
