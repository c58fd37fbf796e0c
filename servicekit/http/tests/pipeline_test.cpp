// What stands between a parsed head and a handler: identity, access, deadline, trace, addresses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/http/list_total.hpp"
#include "servicekit/http/tests/gate.hpp"
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
using namespace std::chrono_literals;

/// Knows four tokens.
class FakeAuthenticator final : public Authenticator {
 public:
  Task<Result<Identity>> authenticate(Context, std::string_view token) override {
    Identity identity;
    if (token == "buyer" || token == "staff") {
      identity.kind = Identity::Kind::user;
      if (token == "staff") identity.scopes = {"catalog:write"};
      co_return identity;
    }
    if (token == "order-service" || token == "mail-service") {
      identity.kind = Identity::Kind::service;
      identity.service = token;
      co_return identity;
    }
    if (token == "down") throw Unavailable{"user-service is gone"};
    co_return refuse(ErrorKind::unauthenticated, "token_invalid", "the token is not valid");
  }
};

Task<Response> show_context(Context context, Request request) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      context.deadline - std::chrono::steady_clock::now());
  Response response = ok(request.client_address());
  response.add_header("left-ms", std::to_string(left.count()));
  response.add_header("trace", context.trace.trace_id_hex());
  co_return response;
}

Task<Response> refuse_fields(Context, Request) {
  co_return problem({.kind = ErrorKind::invalid,
                     .code = "invalid_body",
                     .detail = "a \"quoted\" detail",
                     .fields = {{.pointer = "/lines/0", .code = "required", .detail = "x"}}});
}

Task<Response> show_query(Context, Request request) {
  const auto query = QueryString::parse(request, {"q", "limit", "all", include_total});
  if (!query) co_return problem(query.error());
  const auto limit = query->number("limit", 1, 100);
  if (!limit) co_return problem(limit.error());
  const auto all = query->flag("all");
  if (!all) co_return problem(all.error());
  const auto total = wants_total(*query);
  if (!total) co_return problem(total.error());
  co_return ok(std::format("{}|{}|{}|{}", query->text("q").value_or("-"), limit->value_or(-1),
                           all->value_or(false), *total));
}

Router routes() {
  Router router;
  router.get("/", anyone, say_hello);
  router.get("/open", anyone, show_context);
  router.get("/mine", signed_in, say_hello);
  router.get("/staff", needs("catalog:write"), say_hello);
  router.get("/internal", from_services({"order-service"}), say_hello);
  router.get("/invalid", anyone, refuse_fields);
  router.get("/query", anyone, show_query);
  return router;
}

class PipelineTest : public testing::Test {
 protected:
  std::string get(std::string_view path, std::string_view headers = "") {
    return exchange(server_.port(),
                    std::format("GET {} HTTP/1.1\r\nhost: t\r\n{}\r\n", path, headers));
  }
  int status_for(std::string_view path, std::string_view token) {
    return status_of(get(path, std::format("authorization: Bearer {}\r\n", token)));
  }

  FakeAuthenticator authenticator_;
  RunningServer server_{
      routes(),
      {.trusted_proxies = {"127.0.0.1", "10.0.0.0/8"}, .trust_deadline_header = true},
      &authenticator_};
};

TEST_F(PipelineTest, HasARootLikeAnyOtherPath) {
  EXPECT_EQ(status_of(get("/")), 200);
  EXPECT_EQ(status_of(get("//")), 404);
  EXPECT_EQ(status_of(get("/open/")), 404);
}

TEST_F(PipelineTest, AsksForATokenWhereOneIsNeeded) {
  for (const std::string_view path : {"/mine", "/staff", "/internal"}) {
    const std::string response = get(path);
    EXPECT_EQ(status_of(response), 401) << path;
    EXPECT_EQ(header_of(response, "www-authenticate"), "Bearer") << path;
    EXPECT_THAT(body_of(response), HasSubstr(R"("code":"token_missing")")) << path;
  }
  EXPECT_EQ(status_of(get("/open")), 200);
}

TEST_F(PipelineTest, RefusesABadTokenEverywhere) {
  const std::string response = get("/open", "authorization: Bearer forged\r\n");
  EXPECT_EQ(status_of(response), 401);
  EXPECT_EQ(header_of(response, "www-authenticate"), R"(Bearer error="invalid_token")");
  EXPECT_EQ(status_of(get("/open", "authorization: Basic YTpi\r\n")), 401);
  EXPECT_EQ(
      status_of(get("/open", "authorization: Bearer buyer\r\nauthorization: Bearer staff\r\n")),
      401);
}

TEST_F(PipelineTest, LetsIn) {
  struct Case {
    std::string_view path;
    std::string_view token;
    int status;
  };
  for (const Case& one :
       {Case{"/mine", "buyer", 200}, Case{"/mine", "order-service", 403},
        Case{"/staff", "staff", 200}, Case{"/staff", "buyer", 403},
        Case{"/staff", "order-service", 403}, Case{"/internal", "order-service", 200},
        Case{"/internal", "mail-service", 403}, Case{"/internal", "staff", 403}}) {
    EXPECT_EQ(status_for(one.path, one.token), one.status) << one.path << " " << one.token;
  }
}

TEST_F(PipelineTest, NamesTheMissingScope) {
  EXPECT_THAT(body_of(get("/staff", "authorization: bearer buyer\r\n")),
              HasSubstr(R"("code":"scope_missing")"));
}

TEST_F(PipelineTest, AnUnreachableAuthenticatorIs503) {
  EXPECT_EQ(status_for("/mine", "down"), 503);
}

TEST_F(PipelineTest, KeepsAnOutsideTraceId) {
  const std::string trace = "0af7651916cd43dd8448eb211c80319c";
  EXPECT_EQ(
      header_of(get("/open", "traceparent: 00-" + trace + "-b7ad6b7169203331-01\r\n"), "trace"),
      trace);
  EXPECT_EQ(header_of(get("/open", "traceparent: garbage\r\n"), "trace").size(), 32U);
}

TEST_F(PipelineTest, ShortensTheDeadlineToTheCallers) {
  EXPECT_LE(std::stoi(header_of(get("/open", "x-deadline-ms: 100\r\n"), "left-ms")), 100);
  EXPECT_GT(std::stoi(header_of(get("/open", "x-deadline-ms: 99999\r\n"), "left-ms")), 4'000);
  EXPECT_LE(std::stoi(header_of(get("/open", "x-deadline-ms: 99999\r\n"), "left-ms")), 5'000);
}

TEST_F(PipelineTest, TakesTheAddressBehindItsOwnProxies) {
  EXPECT_EQ(body_of(get("/open")), "127.0.0.1");
  EXPECT_EQ(body_of(get("/open", "x-forwarded-for: 203.0.113.9\r\n")), "203.0.113.9");
  EXPECT_EQ(body_of(get("/open", "x-forwarded-for: 1.2.3.4, 203.0.113.9, 10.1.2.3\r\n")),
            "203.0.113.9");
  EXPECT_EQ(body_of(get("/open", "x-forwarded-for: 1.2.3.4\r\nx-forwarded-for: 203.0.113.9\r\n")),
            "203.0.113.9");
  EXPECT_EQ(body_of(get("/open", "x-forwarded-for: nonsense\r\n")), "127.0.0.1");
}

TEST(TrustedProxies, AStrangersForwardedForIsNotRead) {
  Router router;
  router.get("/open", anyone, show_context);
  const RunningServer server{std::move(router), {.trusted_proxies = {"10.0.0.0/8"}}};
  EXPECT_EQ(body_of(exchange(server.port(),
                             "GET /open HTTP/1.1\r\nhost: t\r\nx-forwarded-for: 1.2.3.4\r\n\r\n")),
            "127.0.0.1");
}

TEST_F(PipelineTest, TellsTheFieldsOfAProblem) {
  const std::string response = get("/invalid");
  EXPECT_EQ(status_of(response), 422);
  EXPECT_THAT(body_of(response),
              testing::StartsWith(
                  R"({"type":"/docs/problems/invalid_body","title":"The body does not have )"
                  R"(the expected members","status":422,)"
                  R"("detail":"a \"quoted\" detail","code":"invalid_body",)"
                  R"("errors":[{"pointer":"/lines/0","code":"required","detail":"x"}],)"
                  R"("retryable":false,"instance":"/invalid","trace_id":")"));
}

TEST_F(PipelineTest, ReadsATypedQuery) {
  EXPECT_EQ(body_of(get("/query?q=a+b%21&limit=20&all=true")), "a b!|20|true|false");
  EXPECT_EQ(body_of(get("/query")), "-|-1|false|false");
  EXPECT_EQ(body_of(get("/query?include_total=estimate")), "-|-1|false|true");
  for (const std::string_view bad :
       {"/query?limit=0", "/query?limit=101", "/query?limit=1x", "/query?limit=", "/query?all=yes",
        "/query?other=1", "/query?q=1&q=2", "/query?q=%zz", "/query?q=%ff", "/query?q=%00",
        "/query?include_total=exact", "/query?include_total=", "/query?include_total=true"}) {
    EXPECT_EQ(status_of(get(bad)), 400) << bad;
  }
}

TEST(Overload, IsShedWith503AndRetryAfter) {
  ServerConfig config;
  config.limits.requests_in_flight_max = 1;
  Gate gate;
  Router router;
  router.get("/held", anyone, gate.handler());
  router.get("/hello", anyone, say_hello);
  const RunningServer server{std::move(router), config};
  RawClient holder{server.port()};
  holder.send("GET /held HTTP/1.1\r\nhost: t\r\n\r\n");
  gate.await_request();

  const std::string shed = exchange(server.port(), "GET /hello HTTP/1.1\r\nhost: t\r\n\r\n");
  EXPECT_EQ(status_of(shed), 503);
  EXPECT_EQ(header_of(shed, "retry-after"), "1");

  gate.release();
  EXPECT_EQ(status_of(holder.read_response()), 200);
  EXPECT_EQ(status_of(exchange(server.port(), "GET /hello HTTP/1.1\r\nhost: t\r\n\r\n")), 200);
}

Task<Response> swallow(Context, Request request) {
  while (true) {
    const std::string piece = co_await request.next_chunk();
    if (piece.empty()) break;
  }
  co_return ok("{}");
}

TEST(Overload, SlowBodiesDoNotKeepOthersOut) {
  ServerConfig config;
  config.limits.requests_in_flight_max = 1;
  Router router;
  router.post("/swallow", anyone, swallow, {.streamed = true, .content_type = ""});
  router.post("/echo", anyone, echo, {.content_type = ""});
  router.get("/hello", anyone, say_hello);
  const RunningServer server{std::move(router), config};
  std::vector<std::unique_ptr<RawClient>> slow;
  for (const std::string_view path : {"/swallow", "/swallow", "/echo", "/echo"}) {
    slow.push_back(std::make_unique<RawClient>(server.port()));
    slow.back()->send(
        std::format("POST {} HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\n"
                    "content-length: 2\r\n\r\n",
                    path));
    EXPECT_EQ(status_of(slow.back()->read_response()), 100);
  }
  EXPECT_EQ(status_of(exchange(server.port(), "GET /hello HTTP/1.1\r\nhost: t\r\n\r\n")), 200);
  for (const auto& client : slow) {
    client->send("{}");
    EXPECT_EQ(status_of(client->read_response()), 200);
  }
}

}  // namespace
}  // namespace stoa::http
