#include "servicekit/http/server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/http/tests/running_server.hpp"
#include "servicekit/testing/raw_client.hpp"

namespace stoa::http {
namespace {

using testing::HasSubstr;
using testing_support::body_of;
using testing_support::exchange;
using testing_support::header_of;
using testing_support::RawClient;
using testing_support::status_of;

Task<Response> show_id(Context, Request request) { co_return ok(request.param("id")); }

Task<Response> say(std::string text) { co_return ok(std::move(text)); }

Task<Response> lose_the_world(Context, Request) {
  throw Unavailable{"the database is gone"};
  co_return ok("");
}

Task<Response> break_a_promise(Context, Request) {
  throw std::logic_error{"secret detail"};
  co_return ok("");
}

Task<Response> count_bytes(Context, Request request) {
  std::size_t count = 0;
  while (true) {
    const std::string piece = co_await request.next_chunk();
    if (piece.empty()) break;
    count += piece.size();
  }
  co_return ok(std::to_string(count));
}

class Countdown final : public BodySource {
 public:
  Task<std::string> next() override {
    co_return left_-- > 0 ? std::string(10'000, 'x') : std::string{};
  }

 private:
  int left_ = 10;
};

Task<Response> stream_out(Context, Request request) {
  Response response{.content_type = "text/plain", .stream = std::make_shared<Countdown>()};
  if (request.query() == "length") response.stream_length = 100'000;
  co_return response;
}

Router routes() {
  Router router;
  router.get("/hello", anyone, say_hello);
  router.under("/shop", anyone, [](Context, Request) { return say("shop"); });
  router.under("/shop/back", anyone, [](Context, Request) { return say("back"); });
  router.get("/shop/hello", anyone, say_hello);
  router.post("/echo", anyone, echo);
  router.get("/things/{id}", anyone, show_id);
  router.get("/things/special", anyone, say_hello);
  router.get("/gone", anyone, lose_the_world);
  router.get("/broken", anyone, break_a_promise);
  router.get("/stream", anyone, stream_out);
  router.post("/count", anyone, count_bytes,
              {.body_max = 8 * 1024 * 1024, .streamed = true, .content_type = ""});
  return router;
}

std::string post(std::string_view path, std::string_view body,
                 std::string_view headers = "content-type: application/json\r\n") {
  return std::format("POST {} HTTP/1.1\r\nhost: t\r\n{}content-length: {}\r\n\r\n{}", path, headers,
                     body.size(), body);
}

class ServerTest : public testing::Test {
 protected:
  std::string get(std::string_view path, std::string_view headers = "") {
    return exchange(server_.port(),
                    std::format("GET {} HTTP/1.1\r\nhost: t\r\n{}\r\n", path, headers));
  }

  RunningServer server_{routes()};
};

TEST_F(ServerTest, AnswersARoute) {
  const std::string response = get("/hello");
  EXPECT_EQ(status_of(response), 200);
  EXPECT_EQ(body_of(response), R"({"hello":true})");
  EXPECT_EQ(header_of(response, "content-type"), "application/json");
  EXPECT_EQ(header_of(response, "x-request-id").size(), 36U);
}

TEST_F(ServerTest, KeepsTheConnectionAndTheOrderOfPipelinedRequests) {
  RawClient client{server_.port()};
  client.send("GET /things/1 HTTP/1.1\r\nhost: t\r\n\r\n" + post("/echo", "2") +
              "GET /things/3 HTTP/1.1\r\nhost: t\r\n\r\n");
  EXPECT_EQ(body_of(client.read_response()), "1");
  EXPECT_EQ(body_of(client.read_response()), "2");
  EXPECT_EQ(body_of(client.read_response()), "3");
}

TEST_F(ServerTest, TakesARequestByteByByte) {
  RawClient client{server_.port()};
  for (const char c : post("/echo", "slowly")) client.send({&c, 1});
  EXPECT_EQ(body_of(client.read_response()), "slowly");
}

TEST_F(ServerTest, PrefersALiteralSegment) {
  EXPECT_EQ(body_of(get("/things/special")), R"({"hello":true})");
  EXPECT_EQ(body_of(get("/things/other")), "other");
}

TEST_F(ServerTest, DecodesAPathParameter) {
  EXPECT_EQ(body_of(get("/things/a%20b")), "a b");
  EXPECT_EQ(status_of(get("/things/a%zz")), 400);
  EXPECT_EQ(status_of(get("/things/a%00")), 400);
}

TEST_F(ServerTest, RefusesAnUnknownPathAsAProblem) {
  const std::string response = get("/nowhere");
  EXPECT_EQ(status_of(response), 404);
  EXPECT_EQ(header_of(response, "content-type"), "application/problem+json");
  EXPECT_THAT(body_of(response), HasSubstr(R"("code":"route_not_found")"));
  EXPECT_THAT(body_of(response), HasSubstr(R"("type":"/docs/problems/route_not_found")"));
  EXPECT_THAT(body_of(response), HasSubstr(R"("instance":"/nowhere")"));
  EXPECT_THAT(body_of(response), HasSubstr(R"("trace_id":")"));
}

TEST_F(ServerTest, NamesTheMethodsOfAPath) {
  const std::string response = exchange(server_.port(), post("/hello", "{}"));
  EXPECT_EQ(status_of(response), 405);
  EXPECT_EQ(header_of(response, "allow"), "GET, HEAD");
}

TEST_F(ServerTest, AnswersHeadWithoutABody) {
  RawClient client{server_.port()};
  client.send("HEAD /hello HTTP/1.1\r\nhost: t\r\n\r\nGET /hello HTTP/1.1\r\nhost: t\r\n\r\n");
  const std::string head = client.read_response(false);
  EXPECT_EQ(header_of(head, "content-length"), "14");
  EXPECT_EQ(status_of(client.read_response()), 200);
}

TEST_F(ServerTest, TurnsUnavailableInto503WithRetryAfter) {
  const std::string response = get("/gone");
  EXPECT_EQ(status_of(response), 503);
  EXPECT_EQ(header_of(response, "retry-after"), "1");
  EXPECT_THAT(body_of(response), Not(HasSubstr("database")));
}

TEST_F(ServerTest, HidesWhatABugSays) {
  const std::string response = get("/broken");
  EXPECT_EQ(status_of(response), 500);
  EXPECT_THAT(body_of(response), Not(HasSubstr("secret")));
}

TEST_F(ServerTest, CollectsAChunkedBody) {
  const std::string response = exchange(
      server_.port(),
      "POST /echo HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n"
      "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\ntrailer: 1\r\n\r\n");
  EXPECT_EQ(body_of(response), "abcde");
}

TEST_F(ServerTest, TakesABodyThatOutgrowsTheBuffer) {
  const std::string body(700'000, 'b');
  RawClient client{server_.port()};
  client.send(post("/echo", body));
  EXPECT_EQ(body_of(client.read_response()), body);
  client.send(post("/echo", "after"));
  EXPECT_EQ(body_of(client.read_response()), "after");
}

TEST_F(ServerTest, APrefixTakesWhatIsBelowItAndNoRoute) {
  struct Case {
    std::string_view request;
    std::string_view answer;
  };
  for (const Case& one : {
           Case{"GET /shop", "shop"},
           Case{"DELETE /shop/a/b", "shop"},
           Case{"GET /shop/back/", "back"},
           Case{"GET /shop/hello", R"({"hello":true})"},
       }) {
    const auto response =
        exchange(server_.port(), std::format("{} HTTP/1.1\r\nhost: t\r\n\r\n", one.request));
    EXPECT_EQ(body_of(response), one.answer) << one.request;
  }
  const auto beside = exchange(server_.port(), "GET /shopping HTTP/1.1\r\nhost: t\r\n\r\n");
  EXPECT_EQ(status_of(beside), 404);
}

TEST_F(ServerTest, RefusesABodyBeyondTheRoutesLimit) {
  const std::string big(1024 * 1024 + 1, 'b');
  EXPECT_EQ(status_of(exchange(server_.port(), post("/echo", big))), 413);
  EXPECT_EQ(status_of(exchange(server_.port(), post("/echo", big.substr(1)))), 200);
}

TEST_F(ServerTest, RefusesAChunkedBodyBeyondTheRoutesLimit) {
  RawClient client{server_.port()};
  client.send(
      "POST /echo HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n"
      "transfer-encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'c') + "\r\n";
  for (int i = 0; i < 17; ++i) client.send(chunk);
  EXPECT_EQ(status_of(client.read_response()), 413);
}

TEST_F(ServerTest, RefusesAnotherMediaType) {
  EXPECT_EQ(status_of(exchange(server_.port(), post("/echo", "x", "content-type: text/xml\r\n"))),
            415);
  EXPECT_EQ(status_of(exchange(server_.port(), post("/echo", "x", ""))), 415);
  EXPECT_EQ(
      status_of(exchange(server_.port(),
                         post("/echo", "x", "content-type: Application/JSON; charset=utf-8\r\n"))),
      200);
}

TEST_F(ServerTest, StreamsABodyInAndKeepsTheConnection) {
  RawClient client{server_.port()};
  client.send(post("/count", std::string(3'000'000, 's')));
  EXPECT_EQ(body_of(client.read_response()), "3000000");
  client.send(post("/count", "four"));
  EXPECT_EQ(body_of(client.read_response()), "4");
}

TEST_F(ServerTest, StreamsABodyOut) {
  RawClient client{server_.port()};
  client.send("GET /stream?length HTTP/1.1\r\nhost: t\r\n\r\n");
  EXPECT_EQ(body_of(client.read_response()).size(), 100'000U);
  client.send("GET /stream HTTP/1.1\r\nhost: t\r\n\r\n");
  const std::string chunked = client.read_response();
  EXPECT_EQ(header_of(chunked, "transfer-encoding"), "chunked");
  EXPECT_EQ(std::ranges::count(body_of(chunked), 'x'), 100'000);
  client.send("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_EQ(body_of(client.read_all()).size(), 100'000U);
}

TEST_F(ServerTest, AnswersExpectContinueOnlyWhenItWantsTheBody) {
  RawClient client{server_.port()};
  client.send(
      "POST /echo HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n"
      "expect: 100-continue\r\ncontent-length: 2\r\n\r\n");
  EXPECT_EQ(status_of(client.read_response()), 100);
  client.send("ok");
  EXPECT_EQ(body_of(client.read_response()), "ok");
  client.send(
      "POST /nowhere HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\n"
      "content-length: 2\r\n\r\n");
  EXPECT_EQ(status_of(client.read_response()), 404);
  EXPECT_TRUE(client.closed());
}

TEST_F(ServerTest, KeepsAGoodRequestIdAndReplacesABadOne) {
  EXPECT_EQ(header_of(get("/hello", "x-request-id: abc-123\r\n"), "x-request-id"), "abc-123");
  EXPECT_EQ(header_of(get("/hello", "x-request-id: a b\r\n"), "x-request-id").size(), 36U);
  EXPECT_EQ(
      header_of(get("/hello", "x-request-id: " + std::string(65, 'a') + "\r\n"), "x-request-id")
          .size(),
      36U);
}

TEST_F(ServerTest, IgnoresAnOfferToUpgrade) {
  RawClient client{server_.port()};
  const std::string offer =
      "GET /hello HTTP/1.1\r\nhost: t\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
      "http2-settings: AAMAAABkAAQAAP__\r\n\r\n";
  client.send(offer + offer);
  EXPECT_EQ(status_of(client.read_response()), 200);
  EXPECT_EQ(status_of(client.read_response()), 200);
}

TEST_F(ServerTest, ClosesWhenTheClientAsks) {
  RawClient client{server_.port()};
  client.send("GET /hello HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
  EXPECT_EQ(header_of(client.read_response(), "connection"), "close");
  EXPECT_TRUE(client.closed());
}

}  // namespace
}  // namespace stoa::http
