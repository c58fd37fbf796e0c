// A stopping server loses no request that it could have seen.
#include <gtest/gtest.h>

#include "servicekit/http/tests/gate.hpp"
#include "servicekit/http/tests/running_server.hpp"
#include "servicekit/testing/raw_client.hpp"

namespace stoa::http {
namespace {

using testing_support::header_of;
using testing_support::RawClient;
using testing_support::status_of;
using namespace std::chrono_literals;

constexpr std::string_view hello = "GET /hello HTTP/1.1\r\nhost: t\r\n\r\n";
constexpr std::string_view held = "GET /held HTTP/1.1\r\nhost: t\r\n\r\n";

bool within_ten_seconds(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

bool refuses_connections(std::uint16_t port) {
  try {
    const RawClient client{port};
    return false;
  } catch (const std::system_error&) {
    return true;
  }
}

class Drain : public testing::Test {
 protected:
  Router routes() {
    Router router;
    router.get("/hello", anyone, say_hello);
    router.get("/held", anyone, gate_.handler());
    return router;
  }

  Gate gate_;
};

TEST_F(Drain, AnswersWhatIsInHandAndCloses) {
  RunningServer server{routes()};
  RawClient client{server.port()};
  client.send(held);
  gate_.await_request();
  server.drain(9s);
  EXPECT_TRUE(within_ten_seconds([&] { return refuses_connections(server.port()); }));
  gate_.release();
  const std::string response = client.read_response();
  EXPECT_EQ(status_of(response), 200);
  EXPECT_EQ(header_of(response, "connection"), "close");
  EXPECT_TRUE(within_ten_seconds([&] { return server.drained(); }));
}

// An idle connection stays open for 300 ms: judged is only a request that was sent well within
// them, which a busy machine may take several tries for.
TEST_F(Drain, ARequestOnItsWayOverAnIdleConnectionIsAnswered) {
  for (int tries = 0; tries < 50; ++tries) {
    RunningServer server{routes()};
    RawClient client{server.port()};
    client.send(hello);
    EXPECT_EQ(header_of(client.read_response(), "connection"), "");
    const auto begin = std::chrono::steady_clock::now();
    server.drain(9s);
    ASSERT_TRUE(within_ten_seconds([&] { return refuses_connections(server.port()); }));
    client.send(hello);
    if (std::chrono::steady_clock::now() - begin > 150ms) continue;
    const std::string response = client.read_response();
    EXPECT_EQ(status_of(response), 200);
    EXPECT_EQ(header_of(response, "connection"), "close");
    EXPECT_TRUE(within_ten_seconds([&] { return server.drained(); }));
    return;
  }
  FAIL() << "no request was sent within 150 ms of the drain's begin";
}

TEST_F(Drain, EndsIdleConnectionsAndEveryListener) {
  RunningServer server{routes(), {}, nullptr, 2};
  RawClient idle{server.port()};
  idle.send(hello);
  EXPECT_EQ(status_of(idle.read_response()), 200);
  server.drain(9s);
  EXPECT_TRUE(within_ten_seconds([&] { return server.drained(); }));
  EXPECT_TRUE(idle.closed());
  EXPECT_TRUE(refuses_connections(server.port()));
}

TEST_F(Drain, AcceptsWhoeverIsInTheListenQueue) {
  Loops loops{1};
  telemetry::Telemetry telemetry{{.service = "test-service", .log_level = "off"}};
  Server server{loops, routes(), nullptr, telemetry, {}};
  server.start();
  // The loop does not run yet: these sit in the queue.
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    clients.back()->send(hello);
  }
  std::thread thread{[&] { testing_support::run_on(loops, server.drain(9s)); }};
  for (const auto& client : clients) EXPECT_EQ(status_of(client->read_response()), 200);
  thread.join();
}

TEST_F(Drain, GivesUpAtItsDeadline) {
  RunningServer server{routes()};
  RawClient client{server.port()};
  client.send(held);
  gate_.await_request();
  server.drain(400ms);
  EXPECT_TRUE(within_ten_seconds([&] { return server.drained(); }));
  gate_.release();
}

}  // namespace
}  // namespace stoa::http
