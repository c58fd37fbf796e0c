#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/http/server.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::http::detail {

inline constexpr std::size_t method_count = 7;
inline constexpr std::size_t path_param_max = 8;
inline constexpr std::size_t status_class_count = 5;

/// One line of a route table, with what telemetry resolved for it once.
struct Route {
  std::string pattern;
  Access access;
  Handler handler;
  RouteOptions options;
  std::array<std::string, method_count> span_names{};
  telemetry::Histogram duration{};
  std::array<telemetry::Counter, status_class_count> by_class{};
};

/// A path and what may be done with it.
struct PathPattern {
  std::vector<std::string> segments;  ///< a parameter is kept as "{name}"
  std::array<std::unique_ptr<Route>, method_count> by_method{};
  std::string allow{};  ///< value of the header Allow
};

/// The parameters of a matched path. Its strings keep their memory from request to request.
class PathParams {
 public:
  void clear() { count_ = 0; }
  /// False when the raw value has a bad escape, is not UTF-8 or holds NUL.
  bool add(std::string_view name, std::string_view raw);
  const std::string* find(std::string_view name) const;

 private:
  struct Param {
    std::string_view name;
    std::string value;
  };
  std::array<Param, path_param_max> params_{};
  std::size_t count_ = 0;
};

struct Match {
  enum class Kind : std::uint8_t { found, no_path, no_method, bad_path };
  Kind kind = Kind::no_path;
  Route* route = nullptr;
  const PathPattern* path = nullptr;  ///< of no_method
};

/// The route table. At most some dozens of patterns: a scan that compares lengths first beats a
/// tree of allocations.
struct Routes {
  std::vector<PathPattern> patterns;  ///< literals before parameters, so that the first match wins
  std::vector<std::unique_ptr<Route>> prefixes;  ///< the longest first
  /// Stands for every request that found no route, so that all are counted and logged alike.
  std::unique_ptr<Route> unmatched;

  Routes();
  void add(Method method, std::string_view path, Route route);
  void add_prefix(Route route);
  Match match(Method method, std::string_view path, PathParams& params) const;

  /// Registers the metrics of each route.
  void resolve(telemetry::Telemetry& telemetry);
};

}  // namespace stoa::http::detail
