#pragma once

#include <array>
#include <atomic>
#include <cstddef>

#include "servicekit/http/client.hpp"
#include "servicekit/http/server.hpp"

#include "services/api-gateway/cors.hpp"
#include "services/api-gateway/rate_limit.hpp"
#include "services/api-gateway/routes.hpp"

namespace stoa::gateway {

/// Forwards a public request to the service that owns its path, and the answer back.
///
/// A JSON body is held whole before the service is asked, so that no connection to it waits for a
/// client; only an import passes through. The service sees one framing, written here: a
/// content-length, or our own chunks for a large import of unknown length. It sees what the gateway
/// knows (`x-request-id`, `traceparent`, `x-forwarded-*`), never what a client claims to be known
/// (`x-user-*`).
class Proxy {
 public:
  /// By Upstream, in its order. They outlive the proxy.
  using Clients = std::array<http::Client*, upstream_count>;
  struct Parts {
    Clients clients;
    RateLimit* limits;
    const Cors* cors;
    UpstreamSettings settings;
  };
  explicit Proxy(Parts parts) : parts_{parts} {}

  /// A route for each public prefix, so that metrics and logs tell them apart.
  void mount(http::Router& router);

  Task<http::Response> forward(Context context, http::Request request);

 private:
  Task<http::Response> call(Context context, http::Request request, Destination destination);

  Parts parts_;
  std::atomic<std::size_t> large_bodies_{0};  ///< held at the moment, on all loops
};

}  // namespace stoa::gateway
