// Every hostile shape of HTTP against a real socket: it ends in 4xx or a closed connection, and the
// server goes on serving others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "servicekit/http/tests/running_server.hpp"
#include "servicekit/testing/raw_client.hpp"

namespace stoa::http {
namespace {

using testing_support::exchange;
using testing_support::RawClient;
using testing_support::status_of;
using namespace std::chrono_literals;

Router routes() {
  Router router;
  router.get("/hello", anyone, say_hello);
  router.post("/echo", anyone, echo, {.body_max = 64 * 1024, .content_type = ""});
  return router;
}

struct Shape {
  std::string_view name;
  std::string bytes;
  int status;  ///< 0: the connection is closed without an answer
};

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.name; }

std::string get_with(std::string_view headers) {
  return "GET /hello HTTP/1.1\r\nhost: t\r\n" + std::string{headers} + "\r\n";
}

std::string post_with(std::string_view headers, std::string_view body) {
  return "POST /echo HTTP/1.1\r\nhost: t\r\n" + std::string{headers} + "\r\n" + std::string{body};
}

std::string many_headers(int count) {
  std::string headers;
  for (int i = 0; i < count; ++i) headers += "a: b\r\n";
  return headers;
}

std::string blank_lines(int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) lines += "\r\n";
  return lines;
}

const std::vector<Shape>& shapes() {
  static const std::string nul{"x: a\0b\r\n", 8};
  static const std::string nul_name{"x\0y: a\r\n", 8};
  static const std::vector<Shape> all{
      {"TwoLengths", post_with("content-length: 2\r\ncontent-length: 3\r\n", "abc"), 400},
      {"TwoEqualLengths", post_with("content-length: 2\r\ncontent-length: 2\r\n", "ab"), 400},
      {"LengthList", post_with("content-length: 2, 2\r\n", "ab"), 400},
      {"LengthWithSign", post_with("content-length: +2\r\n", "ab"), 400},
      {"NegativeLength", post_with("content-length: -2\r\n", "ab"), 400},
      {"HexLength", post_with("content-length: 0x2\r\n", "ab"), 400},
      {"LengthWithSpaceInside", post_with("content-length: 1 0\r\n", "0123456789"), 400},
      {"LengthOverflow", post_with("content-length: 18446744073709551617\r\n", "a"), 400},
      {"EmptyLength", post_with("content-length:\r\n", ""), 400},
      {"LengthAndChunked",
       post_with("content-length: 5\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {"ChunkedAndLength",
       post_with("transfer-encoding: chunked\r\ncontent-length: 5\r\n", "0\r\n\r\n"), 400},
      {"TwoCodings",
       post_with("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {"UnknownCoding", post_with("transfer-encoding: xchunked\r\n", "0\r\n\r\n"), 400},
      {"CodingBeforeChunked", post_with("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400},
      {"ChunkedNotFinal", post_with("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n"), 400},
      {"CodingWithTab", post_with("transfer-encoding:\tchunked, x\r\n", "0\r\n\r\n"), 400},
      {"IdentityCoding", post_with("transfer-encoding: identity\r\n", "ab"), 400},
      {"CodingSpaceBeforeColon", post_with("transfer-encoding : chunked\r\n", "0\r\n\r\n"), 400},
      {"ChunkedInHttp10",
       "POST /echo HTTP/1.0\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"SpaceBeforeColon", get_with("x : y\r\n"), 400},
      {"TabBeforeColon", get_with("x\t: y\r\n"), 400},
      {"NameWithoutColon", get_with("just-a-name\r\n"), 400},
      {"EmptyName", get_with(": y\r\n"), 400},
      {"ObsFold", get_with("x: y\r\n folded\r\n"), 400},
      {"ObsFoldTab", get_with("x: y\r\n\tfolded\r\n"), 400},
      {"FoldBeforeFirstHeader", "GET /hello HTTP/1.1\r\n host: t\r\n\r\n", 400},
      {"NulInValue", get_with(nul), 400},
      {"NulInName", get_with(nul_name), 400},
      {"BareCrInValue", get_with("x: a\rb\r\n"), 400},
      {"BareLfAfterRequestLine", "GET /hello HTTP/1.1\nhost: t\r\n\r\n", 400},
      {"BareLfAfterHeader", "GET /hello HTTP/1.1\r\nhost: t\n\r\n", 400},
      {"BareLfAtTheEnd", "GET /hello HTTP/1.1\r\nhost: t\r\n\n", 400},
      {"OnlyBareLf", "GET /hello HTTP/1.1\nhost: t\n\n", 400},
      {"Http09", "GET /hello\r\n\r\n", 400},
      {"Http12", "GET /hello HTTP/1.2\r\nhost: t\r\n\r\n", 400},
      {"Http20", "GET /hello HTTP/2.0\r\nhost: t\r\n\r\n", 400},
      {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
      {"LowerCaseVersion", "GET /hello http/1.1\r\nhost: t\r\n\r\n", 400},
      {"TwoSpacesInRequestLine", "GET  /hello HTTP/1.1\r\nhost: t\r\n\r\n", 400},
      {"SpaceInTarget", "GET /hel lo HTTP/1.1\r\nhost: t\r\n\r\n", 400},
      {"TabInTarget", "GET /hel\tlo HTTP/1.1\r\nhost: t\r\n\r\n", 400},
      {"FragmentInTarget", "GET /hello#x HTTP/1.1\r\nhost: t\r\n\r\n", 400},
      {"BytesInTarget", "GET /\xff\xfe HTTP/1.1\r\nhost: t\r\n\r\n", 400},
      {"AbsoluteTarget", "GET http://evil/hello HTTP/1.1\r\nhost: t\r\n\r\n", 400},
      {"AuthorityTarget", "CONNECT evil:443 HTTP/1.1\r\nhost: t\r\n\r\n", 400},
      {"TargetWithoutSlash", "GET hello HTTP/1.1\r\nhost: t\r\n\r\n", 400},
      {"NoHost", "GET /hello HTTP/1.1\r\n\r\n", 400},
      {"TwoHosts", "GET /hello HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400},
      {"TwoEqualHosts", "GET /hello HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400},
      {"EmptyHost", "GET /hello HTTP/1.1\r\nhost:\r\n\r\n", 400},
      {"HostWithPath", "GET /hello HTTP/1.1\r\nhost: a/b\r\n\r\n", 400},
      {"HostList", "GET /hello HTTP/1.1\r\nhost: a, b\r\n\r\n", 400},
      {"UnknownMethod", "BREW /hello HTTP/1.1\r\nhost: t\r\n\r\n", 400},
      {"LowerCaseMethod", "get /hello HTTP/1.1\r\nhost: t\r\n\r\n", 400},
      {"MethodNobodyOffers", "TRACE /hello HTTP/1.1\r\nhost: t\r\n\r\n", 405},
      {"TlsHello", std::string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11}, 400},
      {"BadChunkSize", post_with("transfer-encoding: chunked\r\n", "zz\r\nab\r\n0\r\n\r\n"), 400},
      {"NegativeChunkSize", post_with("transfer-encoding: chunked\r\n", "-1\r\nab\r\n"), 400},
      {"EmptyChunkSize", post_with("transfer-encoding: chunked\r\n", "\r\nab\r\n0\r\n\r\n"), 400},
      {"SpaceAfterChunkSize", post_with("transfer-encoding: chunked\r\n", "2 \r\nab\r\n0\r\n\r\n"),
       400},
      {"HugeChunkSize",
       post_with("transfer-encoding: chunked\r\n", "fffffffffffffffff\r\nab\r\n0\r\n\r\n"), 400},
      {"ChunkLongerThanItsSize",
       post_with("transfer-encoding: chunked\r\n", "2\r\nabc\r\n0\r\n\r\n"), 400},
      {"BareLfAfterChunkSize", post_with("transfer-encoding: chunked\r\n", "2\nab\r\n0\r\n\r\n"),
       400},
      {"BareLfAfterChunk", post_with("transfer-encoding: chunked\r\n", "2\r\nab\n0\r\n\r\n"), 400},
      {"EndlessChunkExtension",
       post_with("transfer-encoding: chunked\r\n", "2;" + std::string(20'000, 'x') + "\r\nab\r\n"),
       431},
      {"EndlessTrailer",
       post_with("transfer-encoding: chunked\r\n",
                 "0\r\nx: " + std::string(20'000, 'x') + "\r\n\r\n"),
       431},
      {"FoldedTrailer", post_with("transfer-encoding: chunked\r\n", "0\r\nx: y\r\n z\r\n\r\n"),
       400},
      {"MoreThanTheHeadersAllowed", get_with(many_headers(64)), 431},
      {"ThreeHundredThousandHeaders", get_with(many_headers(300'000)), 431},
      {"HugeHeader", get_with("x: " + std::string(17 * 1024, 'x') + "\r\n"), 431},
      {"EndlessBlanksBeforeAValue", get_with("x:" + std::string(200'000, ' ') + "y\r\n"), 431},
      {"EndlessBlanksBehindAValue", get_with("x: y" + std::string(200'000, ' ') + "\r\n"), 431},
      {"EndlessLinesBeforeTheRequest", blank_lines(100'000) + get_with(""), 431},
      {"HugeHeaderName", get_with(std::string(17 * 1024, 'x') + ": y\r\n"), 431},
      {"HugeTarget", "GET /" + std::string(9 * 1024, 'x') + " HTTP/1.1\r\nhost: t\r\n\r\n", 414},
      {"GigabyteAnnounced", post_with("content-length: 1073741824\r\n", "abc"), 413},
      {"UnknownExpectation", post_with("expect: miracles\r\ncontent-length: 0\r\n", ""), 417},
      {"PathTraversal", "GET /../../etc/passwd HTTP/1.1\r\nhost: t\r\n\r\n", 404},
      {"EncodedTraversal", "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nhost: t\r\n\r\n", 404},
  };
  return all;
}

class HostileTest : public testing::TestWithParam<Shape> {};

TEST_P(HostileTest, IsRefusedAndTheServerLivesOn) {
  const RunningServer server{routes()};
  RawClient client{server.port()};
  client.send(GetParam().bytes);
  EXPECT_EQ(status_of(client.read_response()), GetParam().status);
  if (GetParam().status == 400) {
    EXPECT_TRUE(client.closed());
  }
  EXPECT_EQ(status_of(exchange(server.port(), get_with(""))), 200);
}

INSTANTIATE_TEST_SUITE_P(Shapes, HostileTest, testing::ValuesIn(shapes()),
                         [](const auto& tested) { return std::string{tested.param.name}; });

// A request hidden in the body of a refused one must never be answered.
TEST(Smuggling, NothingBehindARefusedMessageIsServed) {
  const RunningServer server{routes()};
  const std::string hidden = "GET /hello HTTP/1.1\r\nhost: t\r\n\r\n";
  for (const Shape& shape : shapes()) {
    if (shape.status != 400) continue;
    RawClient client{server.port()};
    client.send(shape.bytes + hidden);
    client.finish_sending();
    EXPECT_THAT(client.read_all(), testing::Not(testing::HasSubstr("hello")))
        << std::string{shape.name};
  }
}

TEST(Limits, TheLastHeaderThatFitsIsTaken) {
  const RunningServer server{routes()};
  EXPECT_EQ(status_of(exchange(server.port(), get_with(many_headers(63)))), 200);
}

TEST(Slowloris, AHeadThatTricklesInEndsAtItsDeadline) {
  ServerConfig config;
  config.limits.head_timeout = 300ms;
  const RunningServer server{routes(), config};
  RawClient client{server.port()};
  client.send("GET /hello HTTP/1.1\r\nhost: t\r\n");
  const auto end = std::chrono::steady_clock::now() + 5s;
  bool open = true;
  // Each byte comes well within the deadline; only a deadline that is not renewed ends this.
  while (open && std::chrono::steady_clock::now() < end) {
    open = client.send("a: b\r\n");
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_FALSE(open);
}

TEST(Slowloris, ABodyNobodyWantsCannotTrickleIn) {
  const RunningServer server{routes()};
  RawClient client{server.port()};
  client.send("POST /nowhere HTTP/1.1\r\nhost: t\r\ncontent-length: 60000\r\n\r\n");
  const auto end = std::chrono::steady_clock::now() + 9s;
  bool open = true;
  while (open && std::chrono::steady_clock::now() < end) {
    open = client.send("a");
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_FALSE(open);
  EXPECT_EQ(status_of(client.read_response()), 404);
}

TEST(Slowloris, AnUnfinishedHeadIsTold) {
  ServerConfig config;
  config.limits.head_timeout = 200ms;
  const RunningServer server{routes(), config};
  EXPECT_EQ(status_of(exchange(server.port(), "GET /hel")), 408);
}

TEST(Slowloris, EachHeadHasADeadlineOfItsOwn) {
  ServerConfig config;
  config.limits.head_timeout = 300ms;
  const RunningServer server{routes(), config};
  RawClient client{server.port()};
  const std::string request = get_with("");
  const std::string_view next = std::string_view{request}.substr(0, 10);
  client.send(request + std::string{next});
  EXPECT_EQ(status_of(client.read_response()), 200);
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(100ms);
    client.send(request.substr(10) + std::string{next});
    EXPECT_EQ(status_of(client.read_response()), 200);
  }
}

TEST(Slowloris, ABodyThatStopsIsTold) {
  ServerConfig config;
  config.limits.body_timeout = 200ms;
  const RunningServer server{routes(), config};
  EXPECT_EQ(status_of(exchange(server.port(), post_with("content-length: 10\r\n", "abc"))), 408);
}

TEST(Slowloris, AnIdleConnectionIsClosed) {
  ServerConfig config;
  config.limits.idle_timeout = 200ms;
  const RunningServer server{routes(), config};
  RawClient client{server.port()};
  client.send(get_with(""));
  EXPECT_EQ(status_of(client.read_response()), 200);
  EXPECT_TRUE(client.closed());
}

Task<Response> send_much(Context, Request) { co_return ok(std::string(64 * 1024 * 1024, 'm')); }

TEST(Slowloris, AReaderThatDoesNotReadIsClosed) {
  Router router = routes();
  router.get("/much", anyone, send_much);
  ServerConfig config;
  config.limits.write_timeout = 200ms;
  const RunningServer server{std::move(router), config};
  RawClient client{server.port()};
  client.send("GET /much HTTP/1.1\r\nhost: t\r\n\r\n");
  std::this_thread::sleep_for(600ms);
  EXPECT_LT(client.read_all().size(), 64U * 1024 * 1024);
}

TEST(Limits, ConnectionsBeyondTheLimitAreClosed) {
  ServerConfig config;
  config.limits.connections_max = 2;
  const RunningServer server{routes(), config};
  RawClient one{server.port()};
  RawClient two{server.port()};
  one.send(get_with(""));
  two.send(get_with(""));
  EXPECT_EQ(status_of(one.read_response()), 200);
  EXPECT_EQ(status_of(two.read_response()), 200);
  RawClient three{server.port()};
  EXPECT_TRUE(three.closed());
}

TEST(Limits, MoreConnectionsThanTheUsualDescriptorLimitAreServed) {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit low = before;
  low.rlim_cur = std::min<rlim_t>(64, before.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &low);
  {
    const RunningServer server{routes()};
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 100; ++i) clients.push_back(std::make_unique<RawClient>(server.port()));
    clients.back()->send(get_with(""));
    EXPECT_EQ(status_of(clients.back()->read_response()), 200);
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST(Limits, ManyHostileConnectionsAtOnceLeaveTheServerWell) {
  const RunningServer server{routes()};
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int round = 0; round < 3; ++round) {
    for (const Shape& shape : shapes()) {
      clients.push_back(std::make_unique<RawClient>(server.port()));
      clients.back()->send(shape.bytes.substr(0, shape.bytes.size() / 2));
    }
  }
  for (const auto& client : clients) client->reset();
  EXPECT_EQ(status_of(exchange(server.port(), get_with(""))), 200);
}

}  // namespace
}  // namespace stoa::http
