#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <thread>
#include <utility>

#include "servicekit/http/server.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/run.hpp"

namespace stoa::http {

/// A server with loops and threads of its own, on a free port of 127.0.0.1.
class RunningServer {
 public:
  explicit RunningServer(Router router, ServerConfig config = {},
                         Authenticator* authenticator = nullptr, std::size_t loops = 1)
      : loops_{loops},
        server_{loops_, std::move(router), authenticator, telemetry_, std::move(config)} {
    server_.start();
    thread_ = std::thread{[this] { loops_.run(); }};
  }
  ~RunningServer() {
    loops_.stop();
    thread_.join();
  }

  std::uint16_t port() const { return server_.port(); }
  Loops& loops() { return loops_; }
  telemetry::Telemetry& telemetry() { return telemetry_; }

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

  telemetry::Telemetry telemetry_{{.service = "test-service", .log_level = "error"}};
  Loops loops_;
  Server server_;
  std::atomic<bool> drained_ = false;
  std::thread thread_;
};

inline Task<Response> say_hello(Context, Request) { co_return ok(R"({"hello":true})"); }

inline Task<Response> echo(Context, Request request) { co_return ok(std::string{request.body()}); }

}  // namespace stoa::http
