#include "servicekit/http/client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/http/tests/running_server.hpp"
#include "servicekit/testing/scripted_server.hpp"

namespace stoa::http {
namespace {

using testing::HasSubstr;
using testing_support::closed_port;
using testing_support::run_on;
using testing_support::ScriptedConnection;
using testing_support::ScriptedServer;

constexpr std::string_view good_answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

std::string local(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

class ClientTest : public testing::Test {
 protected:
  Client& client(ClientConfig config) {
    config.name = "callee";
    client_.emplace(loops_, std::move(config), telemetry_);
    return *client_;
  }

  static Context soon(std::chrono::milliseconds timeout = std::chrono::seconds{5}) {
    return Context{}.within(timeout);
  }

  ClientResponse send(ClientRequest request, Context context = soon()) {
    return run_on(loops_, client_->send(std::move(context), std::move(request)));
  }

  telemetry::Telemetry telemetry_{{.service = "test-service", .log_level = "error"}};
  Loops loops_{1};
  std::optional<Client> client_;
};

Task<Response> show_request(Context context, Request request) {
  co_return ok(std::format("{} {} {} {} {}", name(request.method()), request.target(),
                           request.header("x-request-id"), request.body(),
                           context.trace.trace_id_hex()));
}

Task<Response> send_much(Context, Request) { co_return ok(std::string(300'000, 'm')); }

Router routes() {
  Router router;
  router.get("/show", anyone, show_request);
  router.post("/show", anyone, show_request);
  router.get("/much", anyone, send_much);
  return router;
}

/// Gives its pieces, then the end.
class Pieces final : public BodySource {
 public:
  explicit Pieces(std::vector<std::string> pieces) : pieces_{std::move(pieces)} {}
  Task<std::string> next() override {
    co_return next_ < pieces_.size() ? pieces_[next_++] : std::string{};
  }

 private:
  std::vector<std::string> pieces_;
  std::size_t next_ = 0;
};

ClientRequest upload(std::vector<std::string> pieces, std::optional<std::uint64_t> length) {
  return {.method = Method::post,
          .target = "/show",
          .upload = std::make_shared<Pieces>(std::move(pieces)),
          .upload_length = length};
}

TEST_F(ClientTest, SendsWhatItIsGivenWithTheContext) {
  const RunningServer server{routes()};
  client({.addresses = {local(server.port())}});
  Context context = soon();
  context.request_id = std::make_shared<const std::string>("r-1");
  context.trace = *TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

  const auto response =
      send({.method = Method::post, .target = "/show?a=b", .body = "body"}, context);

  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "POST /show?a=b r-1 body 0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(response.header("Content-Type"), "application/json");
}

TEST_F(ClientTest, KeepsItsConnection) {
  ScriptedServer server{[](ScriptedConnection& connection) {
    while (!connection.read_until("\r\n\r\n").empty()) connection.send(good_answer);
  }};
  client({.addresses = {server.address()}});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(send({.target = "/"}).body, "ok");
  EXPECT_EQ(server.connections(), 1);
}

// Behind the one address of a Kubernetes Service, only who is connected anew meets a new replica.
TEST_F(ClientTest, UsesNoConnectionBeyondItsAge) {
  ScriptedServer server{[](ScriptedConnection& connection) {
    while (!connection.read_until("\r\n\r\n").empty()) connection.send(good_answer);
  }};
  client({.addresses = {server.address()}, .connection_age_max = std::chrono::milliseconds{5}});
  const auto give_up_at = std::chrono::steady_clock::now() + std::chrono::seconds{5};
  while (server.connections() < 3 && std::chrono::steady_clock::now() < give_up_at) {
    EXPECT_EQ(send({.target = "/"}).body, "ok");
  }
  EXPECT_EQ(server.connections(), 3);
}

TEST_F(ClientTest, RefusesATargetThatWouldAddAHeader) {
  const RunningServer server{routes()};
  client({.addresses = {local(server.port())}});
  EXPECT_THROW(send({.target = "/show HTTP/1.1\r\nx-evil: 1"}), std::invalid_argument);
}

TEST_F(ClientTest, EndsAtTheDeadlineOfTheContext) {
  ScriptedServer server{[](ScriptedConnection& connection) { connection.await_close(); }};
  client({.addresses = {server.address()}});
  const auto started = std::chrono::steady_clock::now();
  EXPECT_THROW(send({.target = "/"}, soon(std::chrono::milliseconds{50})), Unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds{2});
}

TEST_F(ClientTest, RefusesAnAnswerBeyondItsLimit) {
  const RunningServer server{routes()};
  client({.addresses = {local(server.port())}, .response_bytes_max = 299'999});
  EXPECT_THROW(send({.target = "/much"}), Unavailable);
  client({.addresses = {local(server.port())}, .response_bytes_max = 300'000});
  EXPECT_EQ(send({.target = "/much"}).body.size(), 300'000U);
}

TEST_F(ClientTest, FailsOverToAnotherAddressWhenNothingWasSent) {
  const RunningServer server{routes()};
  client({.addresses = {local(closed_port()), local(server.port())}});
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(send({.method = Method::post, .target = "/show", .body = "x"}).status, 200);
  }
}

TEST_F(ClientTest, SharesTheCallsBetweenAddresses) {
  const auto answer = [](ScriptedConnection& connection) {
    while (!connection.read_until("\r\n\r\n").empty()) connection.send(good_answer);
  };
  ScriptedServer one{answer};
  ScriptedServer other{answer};
  client({.addresses = {one.address(), other.address()}});
  for (int i = 0; i < 4; ++i) send({.target = "/"});
  EXPECT_EQ(one.connections(), 1);
  EXPECT_EQ(other.connections(), 1);
}

// Answers once on a connection, then takes the next request and ends without a word.
void answer_once(ScriptedConnection& connection) {
  if (connection.read_until("\r\n\r\n").empty()) return;
  connection.send(good_answer);
  connection.read_until("\r\n\r\n");
}

TEST_F(ClientTest, RepeatsAnIdempotentRequestOnAStaleConnection) {
  ScriptedServer server{answer_once};
  client({.addresses = {server.address()}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(send({.target = "/"}).body, "ok");
  EXPECT_EQ(server.connections(), 3);
}

TEST_F(ClientTest, NeverRepeatsAPostThatMayHaveArrived) {
  ScriptedServer server{answer_once};
  client({.addresses = {server.address()}});
  EXPECT_EQ(send({.method = Method::post, .target = "/"}).body, "ok");
  EXPECT_THROW(send({.method = Method::post, .target = "/"}), Unavailable);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ClientTest, RepeatsAPostThatSaysItMay) {
  ScriptedServer server{answer_once};
  client({.addresses = {server.address()}});
  EXPECT_EQ(send({.method = Method::post, .target = "/"}).body, "ok");
  EXPECT_EQ(send({.method = Method::post, .target = "/", .idempotent = true}).body, "ok");
}

TEST_F(ClientTest, DoesNotRepeatOnAFreshConnection) {
  ScriptedServer server{[](ScriptedConnection& connection) { connection.read_until("\r\n\r\n"); }};
  client({.addresses = {server.address()}});
  EXPECT_THROW(send({.target = "/"}), Unavailable);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ClientTest, StopsRepeatingWhenTheBudgetIsSpent) {
  std::atomic<int> asked = 0;
  ScriptedServer server{[&](ScriptedConnection& connection) {
    while (!connection.read_until("\r\n\r\n").empty()) {
      ++asked;
      connection.send("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n");
    }
  }};
  client({.addresses = {server.address()}, .breaker_failures = 1'000});
  for (int i = 0; i < 50; ++i) EXPECT_EQ(send({.target = "/"}).status, 503);
  // Three at any rate and a tenth of fifty.
  EXPECT_EQ(asked, 50 + 8);
}

TEST_F(ClientTest, OpensTheBreakerAndClosesItAfterAProbe) {
  std::atomic<bool> well = false;
  std::atomic<int> asked = 0;
  ScriptedServer server{[&](ScriptedConnection& connection) {
    while (!connection.read_until("\r\n\r\n").empty()) {
      ++asked;
      connection.send(well ? good_answer : "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n");
    }
  }};
  client({.addresses = {server.address()}, .breaker_open_for = std::chrono::milliseconds{100}});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(send({.target = "/"}).status, 500);
  EXPECT_THROW(send({.target = "/"}), Unavailable);
  EXPECT_EQ(asked, 5);

  well = true;
  const auto recovered_by = std::chrono::steady_clock::now() + std::chrono::seconds{5};
  bool recovered = false;
  while (!recovered && std::chrono::steady_clock::now() < recovered_by) {
    try {
      recovered = send({.target = "/"}).status == 200;
    } catch (const Unavailable&) {
      run_on(loops_, sleep_for(std::chrono::milliseconds{5}));
    }
  }
  EXPECT_TRUE(recovered);
  EXPECT_EQ(asked, 6);
}

TEST_F(ClientTest, RefusesHostileAnswers) {
  for (const std::string_view answer :
       {"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "not http at all\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        "HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\n bad: fold\r\n\r\n"}) {
    ScriptedServer server{[&](ScriptedConnection& connection) {
      connection.read_until("\r\n\r\n");
      connection.send(answer);
    }};
    client({.addresses = {server.address()}});
    EXPECT_THROW(send({.target = "/"}), Unavailable) << answer;
  }
}

TEST_F(ClientTest, EndsAnEndlessAnswerHead) {
  const std::string hints = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
  const std::string blanks(10'000, ' ');
  for (const auto& [first, rest] :
       {std::pair{hints, hints}, std::pair{std::string{"HTTP/1.1 200 O"}, blanks}}) {
    ScriptedServer server{[&](ScriptedConnection& connection) {
      connection.read_until("\r\n\r\n");
      connection.send(first);
      for (int i = 0; i < 5'000; ++i) connection.send(rest);
      connection.await_close();
    }};
    client({.addresses = {server.address()}, .timeout = std::chrono::seconds{60}});
    const auto started = std::chrono::steady_clock::now();
    EXPECT_THROW(send({.target = "/"}, Context{}), Unavailable);
    EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds{30});
  }
}

// The callee may still be reading the rest of the body: what comes next on this connection would be
// taken for it.
TEST_F(ClientTest, DoesNotKeepAConnectionWhoseUploadWasCut) {
  ScriptedServer server{[](ScriptedConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.send("HTTP/1.1 422 No\r\ncontent-length: 2\r\n\r\nno");
    connection.await_close();
  }};
  client({.addresses = {server.address()}});
  const std::vector<std::string> many(400, std::string(64 * 1024, 'u'));
  EXPECT_EQ(send(upload(many, 400 * 64 * 1024)).status, 422);
  EXPECT_EQ(send(upload(many, std::nullopt)).status, 422);
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(ClientTest, ReadsAnAnswerThatEndsWithItsConnectionAndInterimOnes) {
  ScriptedServer server{[](ScriptedConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.send("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nall of it");
  }};
  client({.addresses = {server.address()}});
  EXPECT_EQ(send({.target = "/"}).body, "all of it");
}

TEST_F(ClientTest, UploadsPieceByPieceWithALengthOrInChunks) {
  const RunningServer server{routes()};
  client({.addresses = {server.address()}});
  EXPECT_THAT(send(upload({"one", "two"}, 6)).body, HasSubstr("onetwo"));
  EXPECT_THAT(send(upload({"one", "two"}, std::nullopt)).body, HasSubstr("onetwo"));
}

TEST_F(ClientTest, AnUploadIsAsLongAsItWasSaid) {
  const RunningServer server{routes()};
  client({.addresses = {server.address()}});
  EXPECT_THROW(send(upload({"one", "two"}, 5)), Unavailable);
  EXPECT_THROW(send(upload({"one", "two"}, 7)), Unavailable);
  EXPECT_THAT(send(upload({"one"}, 3)).body, HasSubstr("one"));
}

Task<std::string> read_stream(Client* client, Context context) {
  ClientRequest request{.target = "/much"};
  auto response = co_await client->open(std::move(context), std::move(request));
  std::string whole = std::move(response.body);
  while (response.stream) {
    const std::string piece = co_await response.stream->next();
    if (piece.empty()) break;
    whole += piece;
  }
  co_return whole;
}

TEST_F(ClientTest, StreamsALargeAnswerAndKeepsItsConnection) {
  std::atomic<int> connections = 0;
  ScriptedServer server{[&](ScriptedConnection& connection) {
    ++connections;
    const std::string answer =
        "HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n" + std::string(300'000, 'm');
    while (!connection.read_until("\r\n\r\n").empty()) connection.send(answer);
  }};
  client({.addresses = {server.address()}, .response_bytes_max = 1'000});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(run_on(loops_, read_stream(&*client_, soon())).size(), 300'000U);
  }
  EXPECT_EQ(connections, 1);
}

TEST_F(ClientTest, DoesNotUseAConnectionThatItsServerHasClosed) {
  ScriptedServer server{[](ScriptedConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.send(good_answer);
  }};
  client({.addresses = {server.address()}});
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(send({.method = Method::post, .target = "/"}).body, "ok");
    // The end of the connection is on its way to us.
    run_on(loops_, sleep_for(std::chrono::milliseconds{20}));
  }
  EXPECT_EQ(server.connections(), 5);
}

Task<> count_answer(Client* client, Context context, int* answered, int* refused) {
  ClientRequest request{.target = "/"};
  bool well = false;
  try {
    const auto response = co_await client->send(std::move(context), std::move(request));
    well = response.status == 200;
  } catch (const Unavailable&) {
    well = false;
  }
  ++(well ? *answered : *refused);
}

Task<> send_at_once(Loops* loops, Client* client, int count, int* answered, int* refused) {
  for (int i = 0; i < count; ++i) {
    spawn(loops->at(0), "call",
          count_answer(client, Context{}.within(std::chrono::seconds{5}), answered, refused));
  }
  while (*answered + *refused < count) co_await sleep_for(std::chrono::milliseconds{1});
}

TEST_F(ClientTest, BoundsItsConnectionsAndThoseWhoWait) {
  ScriptedServer server{[](ScriptedConnection& connection) {
    while (!connection.read_until("\r\n\r\n").empty()) connection.send(good_answer);
  }};
  client({.addresses = {server.address()}, .connections_max = 2, .waiting_max = 3});
  int answered = 0;
  int refused = 0;
  run_on(loops_, send_at_once(&loops_, &*client_, 10, &answered, &refused));
  EXPECT_EQ(answered, 5);
  EXPECT_EQ(refused, 5);
  EXPECT_EQ(server.connections(), 2);
  // Overload of our own is no failure of the callee: its breaker is still closed.
  EXPECT_EQ(send({.target = "/"}).body, "ok");
}

TEST_F(ClientTest, ResolvesANameWithoutBlockingTheLoop) {
  const RunningServer server{routes()};
  client({.addresses = {"localhost:" + std::to_string(server.port())},
          .connect_timeout = std::chrono::seconds{5}});
  EXPECT_EQ(send({.target = "/show"}).status, 200);
}

TEST_F(ClientTest, AnUnknownNameIsUnavailable) {
  client({.addresses = {"no-such-host.invalid:80"}});
  EXPECT_THROW(send({.target = "/"}, soon(std::chrono::seconds{2})), Unavailable);
}

}  // namespace
}  // namespace stoa::http
