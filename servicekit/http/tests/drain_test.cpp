// A stopping server loses no request that it could have seen.
#include <gtest/gtest.h>

#include "servicekit/http/tests/running_server.hpp"
#include "servicekit/testing/raw_client.hpp"

namespace stoa::http {
namespace {

using testing_support::header_of;
using testing_support::RawClient;
using testing_support::status_of;
using namespace std::chrono_literals;

constexpr std::string_view hello = "GET /hello HTTP/1.1\r\nhost: t\r\n\r\n";

Task<Response> take_time(Context, Request) {
  co_await sleep_for(200ms);
  co_return ok("{}");
}

Router routes() {
  Router router;
  router.get("/hello", anyone, say_hello);
  router.get("/slow", anyone, take_time);
  return router;
}

void wait_drained(const RunningServer& server) {
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (!server.drained() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_TRUE(server.drained());
}

TEST(Drain, AnswersWhatIsInHandAndCloses) {
  RunningServer server{routes()};
  RawClient client{server.port()};
  client.send("GET /slow HTTP/1.1\r\nhost: t\r\n\r\n");
  std::this_thread::sleep_for(50ms);
  server.drain(5s);
  const std::string response = client.read_response();
  EXPECT_EQ(status_of(response), 200);
  EXPECT_EQ(header_of(response, "connection"), "close");
  wait_drained(server);
}

TEST(Drain, ARequestOnItsWayOverAnIdleConnectionIsAnswered) {
  RunningServer server{routes()};
  RawClient client{server.port()};
  client.send(hello);
  EXPECT_EQ(header_of(client.read_response(), "connection"), "");
  server.drain(5s);
  std::this_thread::sleep_for(50ms);
  client.send(hello);
  const std::string response = client.read_response();
  EXPECT_EQ(status_of(response), 200);
  EXPECT_EQ(header_of(response, "connection"), "close");
  wait_drained(server);
}

TEST(Drain, EndsIdleConnectionsAndTheListener) {
  RunningServer server{routes(), {}, nullptr, 2};
  RawClient idle{server.port()};
  idle.send(hello);
  EXPECT_EQ(status_of(idle.read_response()), 200);
  server.drain(5s);
  wait_drained(server);
  EXPECT_TRUE(idle.closed());
  EXPECT_THROW(RawClient{server.port()}, std::system_error);
}

TEST(Drain, AcceptsWhoeverIsInTheListenQueue) {
  Loops loops{1};
  telemetry::Telemetry telemetry{{.service = "test-service", .log_level = "error"}};
  Server server{loops, routes(), nullptr, telemetry, {}};
  server.start();
  // The loop does not run yet: these sit in the queue.
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    clients.back()->send(hello);
  }
  std::thread thread{[&] { testing_support::run_on(loops, server.drain(5s)); }};
  for (const auto& client : clients) EXPECT_EQ(status_of(client->read_response()), 200);
  thread.join();
}

TEST(Drain, GivesUpAtItsDeadline) {
  RunningServer server{routes()};
  RawClient half{server.port()};
  half.send("GET /hello HTTP/1.1\r\n");
  std::this_thread::sleep_for(20ms);
  const auto started = std::chrono::steady_clock::now();
  server.drain(400ms);
  wait_drained(server);
  EXPECT_LT(std::chrono::steady_clock::now() - started, 3s);
}

}  // namespace
}  // namespace stoa::http
