#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace stoa::telemetry {

/// Where spans go: "http://host:port[/prefix]".
struct CollectorUrl {
  std::string host;
  std::string port;
  std::string path;  ///< with the protocol's own "/v1/traces"

  /// Empty when it is not such an URL. TLS is the mesh's or a local agent's work.
  static std::optional<CollectorUrl> parse(std::string_view text);
};

/// Posts one export request and says whether the collector took it (a status of 200 to 299).
/// Blocks, at most until `deadline`, on the exporter's own thread.
bool post_spans(const CollectorUrl& url, std::string_view request,
                std::chrono::steady_clock::time_point deadline);

}  // namespace stoa::telemetry
