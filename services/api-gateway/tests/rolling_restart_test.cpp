// Replicas that are replaced one at a time under load: nobody may notice.
#include <gtest/gtest.h>

#include "servicekit/testing/running_server.hpp"

#include "services/api-gateway/tests/gateway_under_test.hpp"

namespace stoa::gateway {
namespace {

using namespace std::chrono_literals;
using testing_support::RawClient;
using testing_support::RunningServer;
using testing_support::status_of;

constexpr int client_count = 4;
constexpr int requests_between_restarts = 100;

Task<http::Response> place(Context, http::Request request) {
  co_await sleep_for(1ms);
  co_return http::created("/api/v1/orders/1", std::string{request.body()});
}

std::unique_ptr<RunningServer> replica(std::uint16_t port) {
  http::Router router;
  router.post("/api/v1/orders", http::anyone, place);
  return std::make_unique<RunningServer>(std::move(router), http::ServerConfig{.port = port});
}

bool within_a_minute(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

/// Clients that place orders, one after the other, without an Idempotency-Key: none may be
/// repeated.
class Load {
 public:
  explicit Load(std::uint16_t port) {
    for (int i = 0; i < client_count; ++i) {
      threads_.emplace_back([this, port] { run(port); });
    }
  }
  ~Load() {
    is_over_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  int served() const { return served_; }
  int failed() const { return failed_; }

 private:
  void run(std::uint16_t port) {
    RawClient client{port};
    while (!is_over_) {
      client.send(
          "POST /api/v1/orders HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n"
          "content-length: 2\r\n\r\n{}");
      ++(status_of(client.read_response()) == 201 ? served_ : failed_);
    }
  }

  std::atomic<bool> is_over_ = false;
  std::atomic<int> served_ = 0;
  std::atomic<int> failed_ = 0;
  std::vector<std::thread> threads_;
};

TEST(RollingRestart, LosesNoRequest) {
  std::vector<std::unique_ptr<RunningServer>> replicas;
  replicas.push_back(replica(0));
  replicas.push_back(replica(0));
  const GatewayUnderTest gateway{{.addresses = {replicas[0]->address(), replicas[1]->address()},
                                  .limits = {.address = 1'000'000, .orders = 1'000'000}}};
  const Load load{gateway.port()};
  for (int round = 0; round < 4; ++round) {
    const int before = load.served();
    ASSERT_TRUE(
        within_a_minute([&] { return load.served() >= before + requests_between_restarts; }));
    auto& restarted = replicas[static_cast<std::size_t>(round) % replicas.size()];
    const std::uint16_t port = restarted->port();
    restarted->drain(9s);
    ASSERT_TRUE(within_a_minute([&] { return restarted->drained(); }));
    restarted.reset();
    restarted = replica(port);
  }
  EXPECT_EQ(load.failed(), 0);
}

}  // namespace
}  // namespace stoa::gateway
