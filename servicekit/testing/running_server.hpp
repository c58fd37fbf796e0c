#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>

#include "servicekit/http/server.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/run.hpp"

namespace stoa::testing_support {

/// An HTTP server with loops and threads of its own, on a free port of 127.0.0.1.
class RunningServer {
 public:
  explicit RunningServer(http::Router router, http::ServerConfig config = {},
                         http::Authenticator* authenticator = nullptr, std::size_t loops = 1)
      : loops_{loops},
        server_{loops_, std::move(router), authenticator, telemetry_, std::move(config)} {
    server_.start();
    thread_ = std::thread{[this] { loops_.run(); }};
  }
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;
  ~RunningServer() {
    loops_.stop();
    thread_.join();
  }

  std::uint16_t port() const { return server_.port(); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port()); }

  /// Begins the drain; it goes on by itself.
  void drain(std::chrono::milliseconds timeout) {
    spawn(loops_.at(0), "drain", drain_and_tell(timeout));
  }
  bool drained() const { return drained_; }

 private:
  Task<> drain_and_tell(std::chrono::milliseconds timeout) {
    co_await server_.drain(timeout);
    drained_ = true;
  }

  telemetry::Telemetry telemetry_{{.service = "test-service", .log_level = "off"}};
  Loops loops_;
  http::Server server_;
  std::atomic<bool> drained_ = false;
  std::thread thread_;
};

}  // namespace stoa::testing_support
