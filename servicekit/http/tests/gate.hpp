#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "servicekit/http/server.hpp"

namespace stoa::http {

/// A handler that a test holds back: it answers once it is released.
class Gate {
 public:
  Handler handler() {
    return [this](Context, Request) { return hold(this); };
  }
  void release() { is_released_ = true; }

  /// Until a request has reached the handler.
  void await_request() const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (!has_request_ && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  }

 private:
  static Task<Response> hold(Gate* gate) {
    gate->has_request_ = true;
    while (!gate->is_released_) co_await sleep_for(std::chrono::milliseconds{1});
    co_return ok("{}");
  }

  std::atomic<bool> has_request_ = false;
  std::atomic<bool> is_released_ = false;
};

}  // namespace stoa::http
