#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>

#include "servicekit/async/loops.hpp"
#include "servicekit/http/client.hpp"
#include "servicekit/http/server.hpp"
#include "servicekit/telemetry/telemetry.hpp"

#include "services/api-gateway/admission.hpp"
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
///
/// Of each service, reads and changes apart, no more calls are under way than it answers in time
/// (Admission); what is beyond is 503 with Retry-After at once.
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
  Proxy(Loops& loops, telemetry::Telemetry& telemetry, Parts parts);

  /// A route for each public prefix, so that metrics and logs tell them apart.
  void mount(http::Router& router);

  Task<http::Response> forward(Context context, http::Request request);

 private:
  Task<http::Response> call(Context context, http::Request request, Destination destination);

  // By Upstream, in its order; first those for reads, then those for changes.
  using Admissions = std::array<std::shared_ptr<Admission>, 2 * upstream_count>;
  std::unique_ptr<Place> take_place(const http::Request& request, Upstream upstream);

  Parts parts_;
  PerLoop<Admissions> admissions_;
  std::array<telemetry::Counter, upstream_count> shed_;
  std::atomic<std::size_t> large_bodies_{0};  ///< held at the moment, on all loops
};

}  // namespace stoa::gateway
