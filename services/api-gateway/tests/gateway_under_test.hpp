#pragma once

#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/raw_client.hpp"
#include "servicekit/testing/scripted_server.hpp"

#include "services/api-gateway/pages.hpp"
#include "services/api-gateway/proxy.hpp"

namespace stoa::gateway {

/// Knows the tokens "buyer" and "order-service".
class FakeAuthenticator final : public http::Authenticator {
 public:
  Task<Result<http::Identity>> authenticate(Context, std::string_view token) override {
    http::Identity identity;
    if (token == "buyer") {
      identity.kind = http::Identity::Kind::user;
    } else if (token == "order-service") {
      identity.kind = http::Identity::Kind::service;
      identity.service = token;
    } else {
      co_return refuse(ErrorKind::unauthenticated, "token_invalid", "the token is not valid");
    }
    co_return identity;
  }
};

/// The gateway as main() builds it, in this process, before the given upstreams. Its Redis is away,
/// so that every test has buckets of its own.
class GatewayUnderTest {
 public:
  struct Setup {
    std::vector<std::string> addresses;  ///< of every upstream
    LimitSettings limits{};
    UpstreamSettings upstream{};
    std::vector<std::string> cors_origins{};
    http::ServerConfig server{};
  };

  explicit GatewayUnderTest(Setup setup)
      : cors_{std::move(setup.cors_origins)},
        client_{loops_,
                {.name = "upstream",
                 .addresses = std::move(setup.addresses),
                 .connections_max = setup.upstream.connections_max,
                 .waiting_max = setup.upstream.waiting_max,
                 .timeout = setup.upstream.timeout},
                telemetry_},
        limiter_{loops_,
                 {.address = "127.0.0.1:" + std::to_string(testing_support::closed_port())},
                 RateLimit::policies(setup.limits),
                 telemetry_},
        limits_{limiter_, setup.limits},
        proxy_{loops_,
               telemetry_,
               {.clients = {&client_, &client_, &client_, &client_},
                .limits = &limits_,
                .cors = &cors_,
                .settings = setup.upstream}} {
    http::Router router;
    mount_pages(router);
    proxy_.mount(router);
    setup.server.on_response = [this](const http::Request& request, http::Response& response) {
      limits_.count_refused(request, response);
      cors_.allow(request, response);
    };
    server_.emplace(loops_, std::move(router), &authenticator_, telemetry_,
                    std::move(setup.server));
    server_->start();
    limiter_.start();
    thread_ = std::thread{[this] { loops_.run(); }};
  }
  GatewayUnderTest(const GatewayUnderTest&) = delete;
  GatewayUnderTest& operator=(const GatewayUnderTest&) = delete;
  ~GatewayUnderTest() {
    loops_.stop();
    thread_.join();
  }

  std::uint16_t port() const { return server_->port(); }
  std::string metrics() { return telemetry_.exposition(); }

  /// One request on a connection of its own. `head` is everything up to the empty line.
  std::string ask(std::string_view head, std::string_view body = "") const {
    testing_support::RawClient client{port()};
    client.send(std::string{head} + "\r\nhost: shop.test\r\n\r\n" + std::string{body});
    return client.read_response(!head.starts_with("HEAD"));
  }

 private:
  telemetry::Telemetry telemetry_{{.service = "api-gateway", .log_level = "off"}};
  Loops loops_{1};
  Cors cors_;
  http::Client client_;
  redis::RateLimiter limiter_;
  RateLimit limits_;
  FakeAuthenticator authenticator_;
  Proxy proxy_;
  std::optional<http::Server> server_;
  std::thread thread_;
};

}  // namespace stoa::gateway
