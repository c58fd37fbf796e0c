#include "servicekit/http/server.hpp"

#include <stdexcept>
#include <utility>

#include <boost/asio/post.hpp>
#include <sys/resource.h>

#include "servicekit/core/require.hpp"
#include "servicekit/http/detail/loop_server.hpp"

namespace stoa::http {
namespace {

using detail::LoopServer;
constexpr std::chrono::milliseconds drain_poll{5};

// Each connection is a descriptor, and the usual soft limit of 1,024 is meant for programs that use
// select(). The hard limit is the administrator's word.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

bool needs_nobody(const detail::Routes& routes) {
  const auto open = [](const std::unique_ptr<detail::Route>& route) {
    return !route || route->access.kind == Access::Kind::anyone;
  };
  return std::ranges::all_of(routes.prefixes, open) &&
         std::ranges::all_of(routes.patterns, [&](const detail::PathPattern& pattern) {
           return std::ranges::all_of(pattern.by_method, open);
         });
}

}  // namespace

struct Server::Impl {
  Loops& loops;
  std::shared_ptr<detail::ServerShared> shared;
  std::vector<std::shared_ptr<LoopServer>> per_loop;
  std::uint16_t port = 0;

  bool drained() const {
    return std::ranges::all_of(per_loop, [](const std::shared_ptr<LoopServer>& one) {
      return one->listener_closed() && one->open() == 0;
    });
  }

  void on_each_loop(void (LoopServer::*act)()) const {
    for (std::size_t i = 0; i < per_loop.size(); ++i) {
      boost::asio::post(loops.at(i), [one = per_loop[i], act] { (one.get()->*act)(); });
    }
  }
};

Server::Server(Loops& loops, Router router, Authenticator* authenticator,
               telemetry::Telemetry& telemetry, ServerConfig config)
    : impl_{std::make_unique<Impl>(loops)} {
  require(authenticator != nullptr || needs_nobody(router.routes()),
          "routes that ask who calls need an authenticator");
  router.routes().resolve(telemetry);
  impl_->shared = std::make_shared<detail::ServerShared>(detail::ServerShared{
      .config = std::move(config),
      .router = std::move(router),
      .telemetry = telemetry,
      .authenticator = authenticator,
      .connections = telemetry.gauge("stoa_http_server_connections", "Open client connections"),
      .in_flight = telemetry.gauge("stoa_http_server_in_flight", "Requests being handled"),
      .shed = telemetry.counter("stoa_http_server_shed_total",
                                "Requests refused because too many were in flight"),
      .refused = telemetry.counter("stoa_http_server_malformed_total",
                                   "Messages refused before they were a request"),
  });
  for (std::size_t i = 0; i < loops.count(); ++i) {
    impl_->per_loop.push_back(std::make_shared<LoopServer>(loops.at(i), impl_->shared));
  }
}

Server::~Server() = default;

void Server::start() {
  raise_descriptor_limit();
  const ServerConfig& config = impl_->shared->config;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(config.address, error);
  if (error) throw std::runtime_error{"not an address to listen on: " + config.address};
  detail::Tcp::endpoint endpoint{address, config.port};
  for (const auto& one : impl_->per_loop) {
    try {
      one->listen(endpoint);
    } catch (const boost::system::system_error& failure) {
      throw std::runtime_error{"cannot listen on " + config.address + ":" +
                               std::to_string(config.port) + ": " + failure.code().message()};
    }
    endpoint.port(one->port());
  }
  impl_->port = endpoint.port();
  for (const auto& one : impl_->per_loop) one->start();
}

std::uint16_t Server::port() const { return impl_->port; }

Task<> Server::drain(std::chrono::milliseconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  impl_->on_each_loop(&LoopServer::begin_drain);
  while (!impl_->drained() && std::chrono::steady_clock::now() < end) {
    co_await sleep_for(drain_poll);
  }
  impl_->on_each_loop(&LoopServer::abort_connections);
}

}  // namespace stoa::http
