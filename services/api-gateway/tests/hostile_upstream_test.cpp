// Services that are slow, broken or lying, and clients that try to reach past the gateway.
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/api-gateway/tests/gateway_under_test.hpp"

namespace stoa::gateway {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing_support::body_of;
using testing_support::RawClient;
using testing_support::ScriptedConnection;
using testing_support::ScriptedServer;
using testing_support::status_of;

constexpr std::string_view good_answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

TEST(HostileUpstream, ASlowOneIs503WithinTheTimeout) {
  ScriptedServer upstream{[](ScriptedConnection& connection) { connection.await_close(); }};
  const GatewayUnderTest gateway{
      {.addresses = {upstream.address()}, .upstream = {.timeout = 100ms}}};
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(status_of(gateway.ask("GET /api/v1/products HTTP/1.1")), 503);
  EXPECT_LT(std::chrono::steady_clock::now() - started, 3s);
}

TEST(HostileUpstream, AMalformedAnswerIs503AndReachesNobody) {
  for (const std::string_view answer :
       {"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxx\r\nevil\r\n",
        "HTTP/1.1 200 OK\nevil: 1\n\n", "HTTP/1.1 200 OK\r\nevil : 1\r\n\r\n", "evil\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: evil\r\nconnection: upgrade\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nevil"}) {
    ScriptedServer upstream{[&](ScriptedConnection& connection) {
      connection.read_until("\r\n\r\n");
      connection.send(answer);
    }};
    const GatewayUnderTest gateway{{.addresses = {upstream.address()}}};
    const std::string response = gateway.ask("GET /api/v1/products HTTP/1.1");
    EXPECT_EQ(status_of(response), 503) << answer;
    EXPECT_THAT(response, Not(HasSubstr("evil"))) << answer;
  }
}

TEST(HostileUpstream, AResetBeforeTheAnswerIs503) {
  ScriptedServer upstream{[](ScriptedConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.reset();
  }};
  const GatewayUnderTest gateway{{.addresses = {upstream.address()}}};
  EXPECT_EQ(status_of(gateway.ask("POST /api/v1/orders HTTP/1.1\r\ncontent-length: 0")), 503);
  EXPECT_EQ(upstream.connections(), 1);
}

TEST(HostileUpstream, AnAnswerThatBreaksOffNeverLooksWhole) {
  ScriptedServer upstream{[](ScriptedConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    const std::string chunk = "10000\r\n" + std::string(0x10000, 'p') + "\r\n";
    for (int i = 0; i < 4; ++i) connection.send(chunk);
    connection.reset();
  }};
  const GatewayUnderTest gateway{{.addresses = {upstream.address()}}};
  RawClient client{gateway.port()};
  client.send("GET /api/v1/products HTTP/1.1\r\nhost: t\r\n\r\n");
  EXPECT_THAT(client.read_all(), Not(testing::EndsWith("0\r\n\r\n")));
}

TEST(HostileUpstream, AnAnswerNobodyAskedForReachesNobody) {
  ScriptedServer upstream{[](ScriptedConnection& connection) {
    while (!connection.read_until("\r\n\r\n").empty()) {
      connection.send(std::string{good_answer} +
                      "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison");
    }
  }};
  const GatewayUnderTest gateway{{.addresses = {upstream.address()}}};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(body_of(gateway.ask("GET /api/v1/products HTTP/1.1")), "ok");
  }
}

TEST(HostileUpstream, RepeatsOnlyWhatMayBeRepeated) {
  std::atomic<int> asked = 0;
  ScriptedServer upstream{[&](ScriptedConnection& connection) {
    while (!connection.read_until("\r\n\r\n").empty()) {
      connection.send(asked++ % 2 == 0 ? "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"
                                       : good_answer);
    }
  }};
  const GatewayUnderTest gateway{{.addresses = {upstream.address()}}};
  EXPECT_EQ(status_of(gateway.ask("GET /api/v1/products HTTP/1.1")), 200);
  EXPECT_EQ(status_of(gateway.ask(
                "POST /api/v1/orders HTTP/1.1\r\nidempotency-key: k\r\ncontent-length: 0")),
            200);
  EXPECT_EQ(asked, 4);
  EXPECT_EQ(status_of(gateway.ask("POST /api/v1/orders HTTP/1.1\r\ncontent-length: 0")), 503);
  EXPECT_EQ(asked, 5);
  // A key means nothing to /auth: a second registration would be another one.
  asked = 0;
  EXPECT_EQ(status_of(gateway.ask("POST /api/v1/auth/register HTTP/1.1\r\n"
                                  "idempotency-key: k\r\ncontent-length: 0")),
            503);
}

TEST(HostileUpstream, IsLeftAloneWhileItsBreakerIsOpen) {
  std::atomic<int> asked = 0;
  ScriptedServer upstream{[&](ScriptedConnection& connection) {
    while (!connection.read_until("\r\n\r\n").empty()) {
      ++asked;
      connection.send("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n");
    }
  }};
  const GatewayUnderTest gateway{{.addresses = {upstream.address()}}};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(status_of(gateway.ask("GET /api/v1/products HTTP/1.1")), 500);
  }
  EXPECT_EQ(status_of(gateway.ask("GET /api/v1/products HTTP/1.1")), 503);
  EXPECT_EQ(asked, 5);
}

TEST(HostileUpstream, AnUploadThatIsRefusedEarlyEndsEarly) {
  ScriptedServer upstream{[](ScriptedConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.send("HTTP/1.1 422 No\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbad");
    connection.await_close();
  }};
  const GatewayUnderTest gateway{{.addresses = {upstream.address()}}};
  RawClient client{gateway.port()};
  client.send("POST /api/v1/imports HTTP/1.1\r\nhost: t\r\ncontent-length: 60000000\r\n\r\n");
  const std::string piece(64 * 1024, 'u');
  bool open = true;
  for (int i = 0; open && i < 900; ++i) open = client.send(piece);
  EXPECT_EQ(status_of(client.read_response()), 422);
}

TEST(Smuggling, NothingHiddenInABodyBecomesARequest) {
  std::mutex mutex;
  std::string seen;
  ScriptedServer upstream{[&](ScriptedConnection& connection) {
    while (true) {
      const std::string head = connection.read_until("\r\n\r\n");
      if (head.empty()) return;
      {
        const std::scoped_lock lock{mutex};
        seen += head;
      }
      connection.send(good_answer);
    }
  }};
  const GatewayUnderTest gateway{{.addresses = {upstream.address()}}};
  const std::string hidden = "GET /internal/v1/hidden HTTP/1.1\r\nhost: t\r\n\r\n";
  for (const std::string_view headers :
       {"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "content-length: 0\r\ncontent-length: 44\r\n", "transfer-encoding: xchunked\r\n",
        "transfer-encoding : chunked\r\n", "transfer-encoding: chunked\r\n x: folded\r\n",
        "transfer-encoding:\vchunked\r\n", "x: y\r\ntransfer-encoding\r\n: chunked\r\n",
        "content-length: +0\r\n", "content-length:\r\n"}) {
    RawClient client{gateway.port()};
    client.send("POST /api/v1/orders HTTP/1.1\r\nhost: t\r\n" + std::string{headers} +
                "\r\n0\r\n\r\n" + hidden);
    client.finish_sending();
    EXPECT_THAT(client.read_all(), Not(HasSubstr(" 200 "))) << headers;
  }
  const std::scoped_lock lock{mutex};
  EXPECT_EQ(seen, "");
}

TEST(Smuggling, ARequestInsideABodyStaysABody) {
  std::mutex mutex;
  std::vector<std::string> heads;
  ScriptedServer upstream{[&](ScriptedConnection& connection) {
    const std::string head = connection.read_until("\r\n\r\n");
    {
      const std::scoped_lock lock{mutex};
      heads.push_back(head);
    }
    connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    connection.await_close();
  }};
  const GatewayUnderTest gateway{{.addresses = {upstream.address()}}};
  const std::string hidden = "GET /internal/v1/hidden HTTP/1.1\r\nhost: t\r\n\r\n";
  EXPECT_EQ(status_of(gateway.ask(
                std::format("POST /api/v1/orders HTTP/1.1\r\ncontent-length: {}", hidden.size()),
                hidden)),
            200);
  const std::scoped_lock lock{mutex};
  ASSERT_EQ(heads.size(), 1U);
  EXPECT_THAT(heads[0], HasSubstr(std::format("content-length: {}\r\n", hidden.size())));
}

}  // namespace
}  // namespace stoa::gateway
