#include <chrono>
#include <deque>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "servicekit/testing/running_server.hpp"

#include "services/api-gateway/tests/gateway_under_test.hpp"

namespace stoa::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing_support::body_of;
using testing_support::closed_port;
using testing_support::header_of;
using testing_support::RawClient;
using testing_support::RunningServer;
using testing_support::status_of;

constexpr std::size_t mebibyte = std::size_t{1024} * 1024;

/// Tells what it was asked: request line, headers, and the body or its size.
Task<http::Response> mirror(Context, http::Request request) {
  std::string seen{http::name(request.method())};
  seen.append(" ").append(request.target()).append("\n");
  request.each_header([&seen](std::string_view name, std::string_view value) {
    seen.append(name).append(": ").append(value).append("\n");
  });
  std::string body;
  std::size_t count = 0;
  while (true) {
    const std::string piece = co_await request.next_chunk();
    if (piece.empty()) break;
    count += piece.size();
    if (body.size() < 1'000) body += piece;
  }
  seen += "\n" + (count <= 1'000 ? body : std::to_string(count) + " bytes");
  http::Response response{.status = 201, .body = std::move(seen), .content_type = "text/plain"};
  response.add_header("etag", "\"1\"").add_header("set-cookie", "a=b");
  co_return response;
}

class Fifty final : public http::BodySource {
 public:
  Task<std::string> next() override {
    co_return pieces_-- > 0 ? std::string(mebibyte / 16, 'd') : std::string{};
  }

 private:
  int pieces_ = 50 * 16;
};

Task<http::Response> send_fifty(Context, http::Request) {
  http::Response response{.content_type = "text/csv", .stream = std::make_shared<Fifty>()};
  response.stream_length = 50 * mebibyte;
  co_return response;
}

http::Router upstream_routes() {
  http::Router router;
  router.get("/api/v1/products/large", http::anyone, send_fifty);
  router.under("/", http::anyone, mirror,
               {.body_max = 100 * mebibyte,
                .streamed = true,
                .content_type = "",
                .deadline = std::chrono::seconds{60}});
  return router;
}

class GatewayTest : public testing::Test {
 protected:
  RunningServer upstream_{upstream_routes()};
  GatewayUnderTest gateway_{
      {.addresses = {upstream_.address()}, .cors_origins = {"https://shop.example"}}};
};

TEST_F(GatewayTest, ForwardsARequestAndItsAnswer) {
  const std::string response = gateway_.ask(
      "POST /api/v1/orders?a=%20b HTTP/1.1\r\ncontent-type: application/json\r\n"
      "idempotency-key: k1\r\ncontent-length: 4",
      "body");
  EXPECT_EQ(status_of(response), 201);
  EXPECT_EQ(header_of(response, "etag"), "\"1\"");
  EXPECT_EQ(header_of(response, "content-type"), "text/plain");
  const auto seen = body_of(response);
  EXPECT_THAT(seen, HasSubstr("POST /api/v1/orders?a=%20b\n"));
  EXPECT_THAT(seen, HasSubstr("idempotency-key: k1\n"));
  EXPECT_THAT(seen, HasSubstr("content-length: 4\n"));
  EXPECT_THAT(seen, HasSubstr("\n\nbody"));
}

TEST_F(GatewayTest, TellsTheServiceWhatItKnowsAndNotWhatAClientClaims) {
  const auto seen = std::string{body_of(gateway_.ask(
      "GET /api/v1/products HTTP/1.1\r\nx-user-id: usr_admin\r\nX-User-Roles: admin\r\n"
      "x-forwarded-for: 1.2.3.4\r\nx-forwarded-host: evil\r\nX-Forwarded-Proto: https\r\n"
      "forwarded: for=1.2.3.4\r\nx-real-ip: 1.2.3.4\r\nx-deadline-ms: 1\r\nx-request-id: req-1\r\n"
      "te: trailers\r\nproxy-authorization: x\r\nconnection: close, x-hop\r\nx-hop: secret\r\n"
      "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n"
      "accept: a/b"))};
  EXPECT_THAT(seen, Not(HasSubstr("usr_admin")));
  EXPECT_THAT(seen, Not(HasSubstr("admin")));
  EXPECT_THAT(seen, Not(HasSubstr("1.2.3.4")));
  EXPECT_THAT(seen, Not(HasSubstr("evil")));
  EXPECT_THAT(seen, Not(HasSubstr("secret")));
  EXPECT_THAT(seen, Not(HasSubstr("trailers")));
  EXPECT_THAT(seen, Not(HasSubstr("x-deadline-ms: 1\n")));
  EXPECT_THAT(seen, HasSubstr("x-forwarded-for: 127.0.0.1\n"));
  EXPECT_THAT(seen, HasSubstr("x-forwarded-proto: http\n"));
  EXPECT_THAT(seen, HasSubstr("x-forwarded-host: shop.test\n"));
  EXPECT_THAT(seen, HasSubstr("x-request-id: req-1\n"));
  EXPECT_THAT(seen, HasSubstr("traceparent: 00-0af7651916cd43dd8448eb211c80319c-"));
  EXPECT_THAT(seen, HasSubstr("accept: a/b\n"));
}

TEST_F(GatewayTest, BelievesItsOwnProxies) {
  const GatewayUnderTest behind{
      {.addresses = {upstream_.address()}, .server = {.trusted_proxies = {"127.0.0.1"}}}};
  const auto seen = std::string{body_of(
      behind.ask("GET /api/v1/products HTTP/1.1\r\nx-forwarded-for: 9.9.9.9, 203.0.113.7\r\n"
                 "x-forwarded-proto: https"))};
  EXPECT_THAT(seen, HasSubstr("x-forwarded-for: 203.0.113.7\n"));
  EXPECT_THAT(seen, HasSubstr("x-forwarded-proto: https\n"));
}

TEST_F(GatewayTest, GivesAChunkedBodyItsLength) {
  const auto seen =
      std::string{body_of(gateway_.ask("POST /api/v1/orders HTTP/1.1\r\ntransfer-encoding: chunked",
                                       "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))};
  EXPECT_THAT(seen, HasSubstr("content-length: 5\n"));
  EXPECT_THAT(seen, Not(HasSubstr("transfer-encoding")));
  EXPECT_THAT(seen, HasSubstr("\n\nabcde"));
}

TEST_F(GatewayTest, KeepsWhatIsInternalInside) {
  for (const std::string_view path :
       {"/internal/v1/revocations", "/api/v1/products/../../../internal/v1/x", "/metrics",
        "/nowhere"}) {
    const std::string response = gateway_.ask(std::format("GET {} HTTP/1.1", path));
    EXPECT_EQ(status_of(response), 404) << path;
    EXPECT_THAT(body_of(response), HasSubstr(R"("code":"route_not_found")")) << path;
  }
  EXPECT_EQ(status_of(gateway_.ask(
                "GET /api/v1/products HTTP/1.1\r\nauthorization: Bearer order-service")),
            404);
}

TEST_F(GatewayTest, CountsByGroupOfPathsNeverByPath) {
  gateway_.ask("GET /api/v1/orders/ord_1 HTTP/1.1");
  gateway_.ask("GET /api/v1/orders/ord_2/events HTTP/1.1");
  gateway_.ask("GET /api/v1/payments HTTP/1.1");
  gateway_.ask("GET /nowhere HTTP/1.1");
  const std::string metrics = gateway_.metrics();
  const auto counted = [&](std::string_view route, std::string_view status, int count) {
    return metrics.contains(
        std::format(R"(stoa_http_server_requests_total{{method="any",route="{}",status="{}"}} {})",
                    route, status, count));
  };
  EXPECT_TRUE(counted("/api/v1/orders", "2xx", 2)) << metrics;
  EXPECT_TRUE(counted("/api/v1/payments", "2xx", 1));
  EXPECT_TRUE(counted("unmatched", "4xx", 1));
  EXPECT_FALSE(metrics.contains("ord_1"));
}

TEST_F(GatewayTest, ChecksATokenAtTheDoorAndPassesItOn) {
  const std::string refused = gateway_.ask(
      "GET /api/v1/products HTTP/1.1\r\nauthorization: Bearer forged\r\n"
      "origin: https://shop.example");
  EXPECT_EQ(status_of(refused), 401);
  // Or the page could not see that its token has expired.
  EXPECT_EQ(header_of(refused, "access-control-allow-origin"), "https://shop.example");
  EXPECT_THAT(body_of(gateway_.ask("GET /api/v1/users/me HTTP/1.1\r\nauthorization: Bearer buyer")),
              HasSubstr("authorization: Bearer buyer\n"));
}

TEST_F(GatewayTest, AnswersHeadWithTheLengthOfTheBody) {
  const std::string response = gateway_.ask("HEAD /api/v1/products/large HTTP/1.1");
  EXPECT_EQ(status_of(response), 200);
  EXPECT_EQ(header_of(response, "content-length"), std::to_string(50 * mebibyte));
  EXPECT_EQ(body_of(response), "");
}

std::size_t peak_memory() {
  std::ifstream status{"/proc/self/status"};
  std::string word;
  std::size_t kibibytes = 0;
  while (status >> word) {
    if (word == "VmHWM:") status >> kibibytes;
  }
  return kibibytes * 1024;
}

// A sanitizer keeps what was freed, up to 256 MiB: then the peak says nothing of the gateway, and
// what is left of these tests is that the whole body passes.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t streaming_memory_max = 512 * mebibyte;
#else
constexpr std::size_t streaming_memory_max = 8 * mebibyte;
#endif

TEST_F(GatewayTest, StreamsALargeUploadInFlatMemory) {
  const std::size_t before = peak_memory();
  RawClient client{gateway_.port()};
  client.send(
      std::format("POST /api/v1/imports HTTP/1.1\r\nhost: t\r\ncontent-type: text/csv\r\n"
                  "content-length: {}\r\n\r\n",
                  50 * mebibyte));
  const std::string piece(mebibyte / 4, 'u');
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(client.send(piece));
  const std::string response = client.read_response();
  EXPECT_THAT(response, HasSubstr(std::format("{} bytes", 50 * mebibyte)));
  EXPECT_THAT(response, HasSubstr(std::format("content-length: {}\n", 50 * mebibyte)));
  EXPECT_LT(peak_memory() - before, streaming_memory_max);
}

TEST_F(GatewayTest, StreamsALargeUploadOfUnknownLength) {
  RawClient client{gateway_.port()};
  client.send("POST /api/v1/imports HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'u') + "\r\n";
  for (int i = 0; i < 16; ++i) client.send(chunk);
  client.send("0\r\n\r\n");
  EXPECT_THAT(client.read_response(), HasSubstr(std::format("{} bytes", mebibyte)));
}

/// A client that stops in the middle of a body of 200 kB, framed by its length or in chunks.
void begin_large_body(const RawClient& client, bool chunked) {
  const std::string piece(100'000, 's');
  client.send("POST /api/v1/orders HTTP/1.1\r\nhost: t\r\n" +
              (chunked ? "transfer-encoding: chunked\r\n\r\n186a0\r\n" + piece + "\r\n"
                       : "content-length: 200000\r\n\r\n" + piece));
}

TEST_F(GatewayTest, ASlowLargeBodyTakesNoConnectionToAService) {
  const GatewayUnderTest narrow{
      {.addresses = {upstream_.address()}, .upstream = {.connections_max = 1}}};
  RawClient slow{narrow.port()};
  begin_large_body(slow, false);
  std::this_thread::sleep_for(std::chrono::milliseconds{200});
  EXPECT_EQ(status_of(narrow.ask("GET /api/v1/products HTTP/1.1")), 201);
  slow.send(std::string(100'000, 's'));
  EXPECT_THAT(slow.read_response(), HasSubstr("200000 bytes"));
}

TEST_F(GatewayTest, HoldsABoundedNumberOfLargeBodies) {
  std::deque<RawClient> slow;
  for (int i = 0; i < 64; ++i) begin_large_body(slow.emplace_back(gateway_.port()), i % 2 == 0);
  std::this_thread::sleep_for(std::chrono::milliseconds{500});
  const std::string_view large = "POST /api/v1/orders HTTP/1.1\r\ncontent-length: 100000";
  const std::string refused = gateway_.ask(large, std::string(100'000, 's'));
  EXPECT_EQ(status_of(refused), 503);
  EXPECT_EQ(header_of(refused, "retry-after"), "1");
  EXPECT_EQ(status_of(gateway_.ask("POST /api/v1/orders HTTP/1.1\r\ncontent-length: 1", "x")), 201);

  slow.clear();
  std::this_thread::sleep_for(std::chrono::milliseconds{200});
  EXPECT_EQ(status_of(gateway_.ask(large, std::string(100'000, 's'))), 201);
}

TEST_F(GatewayTest, StreamsALargeAnswerInFlatMemory) {
  const std::size_t before = peak_memory();
  RawClient client{gateway_.port()};
  client.send("GET /api/v1/products/large HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
  EXPECT_GT(client.discard_all(), 50 * mebibyte);
  EXPECT_LT(peak_memory() - before, streaming_memory_max);
}

TEST_F(GatewayTest, RefusesABodyBeyondTheLimitOfItsPath) {
  EXPECT_EQ(status_of(gateway_.ask(
                std::format("POST /api/v1/orders HTTP/1.1\r\ncontent-length: {}", mebibyte + 1))),
            413);
  EXPECT_EQ(status_of(gateway_.ask(std::format(
                "POST /api/v1/imports HTTP/1.1\r\ncontent-length: {}", 64 * mebibyte + 1))),
            413);
  std::string chunks;
  for (int i = 0; i < 17; ++i) chunks += "10000\r\n" + std::string(0x10000, 'c') + "\r\n";
  EXPECT_EQ(status_of(gateway_.ask("POST /api/v1/orders HTTP/1.1\r\ntransfer-encoding: chunked",
                                   chunks + "0\r\n\r\n")),
            413);
}

TEST_F(GatewayTest, RefusesAnEndlessUpload) {
  RawClient client{gateway_.port()};
  client.send("POST /api/v1/imports HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n");
  const std::string chunk = "100000\r\n" + std::string(mebibyte, 'u') + "\r\n";
  bool open = true;
  int sent = 0;
  for (; open && sent < 200; ++sent) open = client.send(chunk);
  EXPECT_LT(sent, 80);
  EXPECT_EQ(status_of(client.read_response()), 413);
}

TEST_F(GatewayTest, CountsAndTellsTheLimits) {
  const GatewayUnderTest strict{{.addresses = {upstream_.address()}, .limits = {.auth = 2}}};
  const std::string_view registration = "POST /api/v1/auth/register HTTP/1.1\r\ncontent-length: 0";
  const std::string first = strict.ask(registration);
  EXPECT_EQ(status_of(first), 201);
  EXPECT_EQ(header_of(first, "ratelimit-policy"), "\"auth\";q=2;w=60");
  EXPECT_THAT(header_of(first, "ratelimit"), testing::StartsWith("\"auth\";r=1;t="));
  EXPECT_EQ(status_of(strict.ask(registration)), 201);

  const std::string refused = strict.ask(registration);
  EXPECT_EQ(status_of(refused), 429);
  EXPECT_GE(std::stoi(header_of(refused, "retry-after")), 1);
  EXPECT_THAT(header_of(refused, "ratelimit"), testing::StartsWith("\"auth\";r=0;t="));
  EXPECT_THAT(body_of(refused), HasSubstr(R"("code":"too_many_requests")"));
  // Other traffic has buckets of its own.
  EXPECT_EQ(status_of(strict.ask("GET /api/v1/products HTTP/1.1")), 201);
}

TEST_F(GatewayTest, LimitsAUserWhateverTheAddress) {
  const GatewayUnderTest strict{{.addresses = {upstream_.address()},
                                 .limits = {.user = 1},
                                 .server = {.trusted_proxies = {"127.0.0.1"}}}};
  const auto ask_from = [&](std::string_view address) {
    return status_of(
        strict.ask(std::format("GET /api/v1/users/me HTTP/1.1\r\nauthorization: Bearer buyer\r\n"
                               "x-forwarded-for: {}",
                               address)));
  };
  EXPECT_EQ(ask_from("203.0.113.1"), 201);
  EXPECT_EQ(ask_from("203.0.113.2"), 429);
}

TEST_F(GatewayTest, LetsAKnownOriginIn) {
  const std::string preflight = gateway_.ask(
      "OPTIONS /api/v1/orders HTTP/1.1\r\norigin: https://shop.example\r\n"
      "access-control-request-method: POST");
  EXPECT_EQ(status_of(preflight), 204);
  EXPECT_EQ(header_of(preflight, "access-control-allow-origin"), "https://shop.example");
  EXPECT_THAT(header_of(preflight, "access-control-allow-headers"), HasSubstr("idempotency-key"));
  const std::string answer =
      gateway_.ask("GET /api/v1/products HTTP/1.1\r\norigin: https://shop.example");
  EXPECT_EQ(header_of(answer, "access-control-allow-origin"), "https://shop.example");
  EXPECT_EQ(header_of(answer, "vary"), "origin");
}

TEST_F(GatewayTest, GivesAForeignOriginNothing) {
  const std::string preflight = gateway_.ask(
      "OPTIONS /api/v1/orders HTTP/1.1\r\norigin: https://evil.example\r\n"
      "access-control-request-method: POST");
  EXPECT_EQ(status_of(preflight), 204);
  EXPECT_EQ(header_of(preflight, "access-control-allow-origin"), "");
  EXPECT_EQ(header_of(preflight, "access-control-allow-methods"), "");
}

TEST_F(GatewayTest, TellsItsHealth) {
  const std::string response = gateway_.ask("GET /health HTTP/1.1");
  EXPECT_EQ(status_of(response), 200);
  EXPECT_EQ(body_of(response), R"({"status":"ok","service":"api-gateway"})");
}

TEST_F(GatewayTest, PublishesTheMergedDocument) {
  const std::string response = gateway_.ask("GET /api/v1/openapi.json HTTP/1.1");
  EXPECT_EQ(header_of(response, "content-type"), "application/json");
  EXPECT_THAT(body_of(response), testing::StartsWith(R"({"openapi":"3.1.0")"));
  EXPECT_THAT(body_of(response), HasSubstr(R"("/health":)"));
  EXPECT_THAT(body_of(response), Not(HasSubstr("\"/internal")));
}

TEST_F(GatewayTest, HasAPageForEachError) {
  const std::string page = gateway_.ask("GET /docs/problems/route_not_found HTTP/1.1");
  EXPECT_EQ(status_of(page), 200);
  EXPECT_EQ(header_of(page, "content-type"), "text/html; charset=utf-8");
  EXPECT_THAT(body_of(page), HasSubstr("<h1>There is nothing at this path</h1>"));
  EXPECT_THAT(body_of(gateway_.ask("GET /docs/problems HTTP/1.1")),
              HasSubstr("/docs/problems/too_many_requests"));
  EXPECT_EQ(status_of(gateway_.ask("GET /docs/problems/no_such_code HTTP/1.1")), 404);
  EXPECT_EQ(status_of(gateway_.ask("GET /docs/problems/%3Cscript%3E HTTP/1.1")), 404);
}

TEST_F(GatewayTest, GoesToAnotherReplicaWhenOneIsGone) {
  const GatewayUnderTest pair{
      {.addresses = {"127.0.0.1:" + std::to_string(closed_port()), upstream_.address()}}};
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(status_of(pair.ask("POST /api/v1/orders HTTP/1.1\r\ncontent-length: 1", "x")), 201);
  }
}

TEST_F(GatewayTest, AServiceThatIsGoneIs503WithRetryAfter) {
  const GatewayUnderTest alone{{.addresses = {"127.0.0.1:" + std::to_string(closed_port())}}};
  const std::string response = alone.ask("GET /api/v1/products HTTP/1.1");
  EXPECT_EQ(status_of(response), 503);
  EXPECT_EQ(header_of(response, "retry-after"), "1");
  EXPECT_THAT(body_of(response), HasSubstr(R"("retryable":true)"));
}

}  // namespace
}  // namespace stoa::gateway
