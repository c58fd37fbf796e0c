#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <boost/container/static_vector.hpp>

#include "servicekit/http/detail/exchange.hpp"

namespace stoa::http::detail {

/// Of IPv4 or IPv6, in the order of the network. Held in place: one is made for each request.
using AddressBytes = boost::container::static_vector<std::uint8_t, 16>;

/// Networks whose X-Forwarded-For counts: single addresses and CIDR blocks.
class TrustedProxies {
 public:
  /// A bug for an entry that is neither.
  explicit TrustedProxies(const std::vector<std::string>& entries);
  bool contains(std::string_view address) const;

 private:
  struct Block {
    AddressBytes bytes;
    std::size_t bits;
  };
  std::vector<Block> blocks_;
};

/// What every request passes between its head and its answer, apart from the bytes. One per loop.
class Pipeline {
 public:
  struct Parts {
    const Routes* routes;
    Authenticator* authenticator;
    telemetry::Telemetry* telemetry;
    const ServerConfig* config;
  };
  explicit Pipeline(Parts parts);

  /// Request id, route and deadline, trace, body rules, in this order. A response is a refusal.
  std::optional<Response> begin(Exchange& exchange, std::string_view peer, bool peer_trusted);

  /// Whether the caller's identity has to be looked at.
  static bool needs_identity(const Exchange& exchange);
  /// Who asks, and whether they may. A response is a refusal.
  Task<std::optional<Response>> admit(Exchange* exchange) const;

  /// Runs the handler; whatever it throws becomes a response.
  Task<Response> answer(Exchange* exchange) const;

  /// The service's own last word, access log and metrics.
  void finish(Exchange& exchange, Response& response) const;

  bool trusts(std::string_view address) const { return proxies_.contains(address); }

 private:
  void identify_request(Exchange& exchange);
  void trace(Exchange& exchange) const;
  std::optional<Response> find_route(Exchange& exchange) const;
  std::optional<Response> check_body(const Exchange& exchange) const;
  void read_client_address(Exchange& exchange, std::string_view peer, bool peer_trusted) const;
  static std::optional<Response> refuse_access(const Access& access, const Identity& identity);

  Parts parts_;
  TrustedProxies proxies_;
  std::mt19937_64 random_;  ///< request ids: unique, not secret
};

}  // namespace stoa::http::detail
