#include <algorithm>
#include <functional>
#include <ranges>
#include <utility>

#include "servicekit/core/encoding.hpp"
#include "servicekit/core/require.hpp"
#include "servicekit/http/detail/routes.hpp"

namespace stoa::http {
namespace {

constexpr std::array all_methods{Method::get,   Method::head, Method::post,   Method::put,
                                 Method::patch, Method::del,  Method::options};

bool is_param(std::string_view segment) { return segment.starts_with('{'); }

std::vector<std::string> split(std::string_view path) {
  require(path.starts_with('/'), "a route's path begins with '/'");
  std::vector<std::string> segments;
  for (const auto part : std::views::split(path.substr(1), '/')) {
    segments.emplace_back(std::string_view{part});
  }
  // A split of nothing has no part, and "/" is one empty segment like the end of "/a/".
  if (segments.empty()) segments.emplace_back();
  return segments;
}

std::string allowed_methods(const detail::PathPattern& pattern) {
  std::string allow;
  for (const Method method : all_methods) {
    if (!pattern.by_method[static_cast<std::size_t>(method)]) continue;
    if (!allow.empty()) allow += ", ";
    allow += name(method);
    if (method == Method::get) allow += ", HEAD";
  }
  return allow;
}

// Literals sort before parameters at the first segment in which two patterns differ.
bool more_specific(const detail::PathPattern& one, const detail::PathPattern& other) {
  return std::ranges::lexicographical_compare(one.segments, other.segments,
                                              [](const std::string& a, const std::string& b) {
                                                if (is_param(a) != is_param(b)) return is_param(b);
                                                return a < b;
                                              });
}

// Whether the pattern's shape and literals fit; parameters are read only once it does.
bool fits(const detail::PathPattern& pattern, std::string_view path) {
  path.remove_prefix(1);
  const std::size_t last = pattern.segments.size() - 1;
  for (std::size_t i = 0; i <= last; ++i) {
    const std::size_t slash = path.find('/');
    if ((slash == std::string_view::npos) != (i == last)) return false;
    const std::string_view segment = path.substr(0, slash);
    const std::string& wanted = pattern.segments[i];
    if (is_param(wanted) ? segment.empty() : segment != wanted) return false;
    if (i < last) path.remove_prefix(slash + 1);
  }
  return true;
}

bool is_under(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) &&
         (prefix.ends_with('/') || path.size() == prefix.size() || path[prefix.size()] == '/');
}

bool read_params(const detail::PathPattern& pattern, std::string_view path,
                 detail::PathParams& params) {
  path.remove_prefix(1);
  for (const std::string& segment : pattern.segments) {
    const std::size_t slash = path.find('/');
    if (is_param(segment) && !params.add(std::string_view{segment}.substr(1, segment.size() - 2),
                                         path.substr(0, slash))) {
      return false;
    }
    if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
  }
  return true;
}

detail::Route make_route(std::string_view pattern, Access access, Handler handler,
                         RouteOptions options) {
  detail::Route route{.pattern = std::string{pattern},
                      .access = std::move(access),
                      .handler = std::move(handler),
                      .options = options};
  for (const Method method : all_methods) {
    route.span_names[static_cast<std::size_t>(method)] =
        std::string{name(method)} + " " + route.pattern;
  }
  return route;
}

}  // namespace

namespace detail {

bool PathParams::add(std::string_view name, std::string_view raw) {
  Param& param = params_[count_++];
  param.name = name;
  if (raw.find('%') == std::string_view::npos) {
    param.value.assign(raw);
    return true;
  }
  auto decoded = percent_decode(raw);
  if (!decoded || !valid_utf8(*decoded) || decoded->contains('\0')) return false;
  param.value = std::move(*decoded);
  return true;
}

const std::string* PathParams::find(std::string_view name) const {
  for (std::size_t i = 0; i < count_; ++i) {
    if (params_[i].name == name) return &params_[i].value;
  }
  return nullptr;
}

Routes::Routes() : unmatched{std::make_unique<Route>(make_route("unmatched", anyone, {}, {}))} {}

void Routes::add(Method method, std::string_view path, Route route) {
  auto segments = split(path);
  require(std::ranges::count_if(segments, is_param) <= std::ptrdiff_t{path_param_max},
          "a route has at most eight parameters");
  auto at = std::ranges::find(patterns, segments, &PathPattern::segments);
  if (at == patterns.end()) {
    patterns.push_back({.segments = std::move(segments)});
    std::ranges::sort(patterns, more_specific);
    at = std::ranges::find_if(patterns,
                              [&](const PathPattern& one) { return one.segments == split(path); });
  }
  auto& slot = at->by_method[static_cast<std::size_t>(method)];
  require(slot == nullptr, "a route is registered once");
  slot = std::make_unique<Route>(std::move(route));
  at->allow = allowed_methods(*at);
}

void Routes::add_prefix(Route route) {
  const auto same = [&](const auto& other) { return other->pattern == route.pattern; };
  require(std::ranges::none_of(prefixes, same), "a route is registered once");
  prefixes.push_back(std::make_unique<Route>(std::move(route)));
  std::ranges::sort(prefixes, std::greater{}, [](const auto& one) { return one->pattern.size(); });
}

Match Routes::match(Method method, std::string_view path, PathParams& params) const {
  // HEAD is answered by the route of GET, without the body.
  const Method wanted = method == Method::head ? Method::get : method;
  const PathPattern* other_methods = nullptr;
  for (const PathPattern& pattern : patterns) {
    if (!path.starts_with('/') || !fits(pattern, path)) continue;
    Route* route = pattern.by_method[static_cast<std::size_t>(wanted)].get();
    if (route == nullptr) {
      if (other_methods == nullptr) other_methods = &pattern;
      continue;
    }
    if (!read_params(pattern, path, params)) return {.kind = Match::Kind::bad_path};
    return {.kind = Match::Kind::found, .route = route};
  }
  if (other_methods != nullptr) return {.kind = Match::Kind::no_method, .path = other_methods};
  for (const auto& route : prefixes) {
    if (is_under(path, route->pattern)) return {.kind = Match::Kind::found, .route = route.get()};
  }
  return {};
}

namespace {

void resolve_one(telemetry::Telemetry& telemetry, Route& route, std::string_view method) {
  telemetry::Labels labels{{"method", std::string{method}}, {"route", route.pattern}};
  route.duration = telemetry.histogram("stoa_http_server_duration_seconds",
                                       "Time from the parsed head to the rendered answer", labels);
  constexpr std::array<std::string_view, status_class_count> classes{"1xx", "2xx", "3xx", "4xx",
                                                                     "5xx"};
  labels.emplace_back("status", "");
  for (std::size_t i = 0; i < classes.size(); ++i) {
    labels.back().second = classes[i];
    route.by_class[i] =
        telemetry.counter("stoa_http_server_requests_total", "Requests answered", labels);
  }
}

}  // namespace

void Routes::resolve(telemetry::Telemetry& telemetry) {
  for (PathPattern& pattern : patterns) {
    for (const Method method : all_methods) {
      const auto& route = pattern.by_method[static_cast<std::size_t>(method)];
      if (route) resolve_one(telemetry, *route, name(method));
    }
  }
  for (const auto& route : prefixes) resolve_one(telemetry, *route, "any");
  resolve_one(telemetry, *unmatched, "any");
}

}  // namespace detail

Router::Router() : routes_{std::make_unique<detail::Routes>()} {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;

void Router::add(Method method, std::string_view path, Access access, Handler handler,
                 RouteOptions options) {
  require(method != Method::head, "HEAD is answered by the route of GET");
  routes_->add(method, path, make_route(path, std::move(access), std::move(handler), options));
}

void Router::get(std::string_view path, Access access, Handler handler, RouteOptions options) {
  add(Method::get, path, std::move(access), std::move(handler), options);
}

void Router::post(std::string_view path, Access access, Handler handler, RouteOptions options) {
  add(Method::post, path, std::move(access), std::move(handler), options);
}

void Router::put(std::string_view path, Access access, Handler handler, RouteOptions options) {
  add(Method::put, path, std::move(access), std::move(handler), options);
}

void Router::patch(std::string_view path, Access access, Handler handler, RouteOptions options) {
  add(Method::patch, path, std::move(access), std::move(handler), options);
}

void Router::del(std::string_view path, Access access, Handler handler, RouteOptions options) {
  add(Method::del, path, std::move(access), std::move(handler), options);
}

void Router::under(std::string_view prefix, Access access, Handler handler, RouteOptions options) {
  routes_->add_prefix(make_route(prefix, std::move(access), std::move(handler), options));
}

}  // namespace stoa::http
