#include <chrono>
#include <format>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/async/if_available.hpp"
#include "servicekit/core/encoding.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/http/client.hpp"
#include "servicekit/http/server.hpp"
#include "servicekit/json/json.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/run.hpp"

#include "tools/payment-simulator/tests/simulator_process.hpp"

// The program itself: over its socket, through its own kill -9, and what it tells the merchant.
namespace stoa::simulator {
namespace {

using namespace std::chrono_literals;

struct PayJson {
  std::int64_t amount = 0;
  std::string currency;
  std::string token;
  bool capture = false;
};

struct ViewJson {
  std::string status;
  std::optional<std::string> id;
};

struct LineJson {
  std::int64_t line = 0;
  std::string kind;
  std::string key;
  std::int64_t amount = 0;
};

struct StatementJson {
  std::vector<LineJson> data;
  bool has_more = false;
};

/// What one merchant was told by webhooks, in order.
struct Told {
  std::string id;
  std::string type;
  std::string signature;
  std::string body;
};

class ProcessTest : public testing::Test {
 protected:
  ProcessTest() {
    http::Router router;
    router.post("/hook", http::anyone,
                [this](Context, http::Request request) { return take(request); });
    merchant_ = std::make_unique<http::Server>(loops_, std::move(router), nullptr, telemetry_,
                                               http::ServerConfig{});
    merchant_->start();
    simulator_ = std::make_unique<SimulatorProcess>(
        std::format("http://127.0.0.1:{}/hook", merchant_->port()));
    client_ =
        std::make_unique<http::Client>(loops_,
                                       http::ClientConfig{.name = "provider",
                                                          .addresses = {simulator_->address()},
                                                          .connect_timeout = 200ms,
                                                          .timeout = 1'000ms,
                                                          .breaker_open_for = 50ms},
                                       telemetry_);
  }

  template <class T>
  T run(Task<T> task) {
    return testing_support::run_on(loops_, std::move(task));
  }

  Task<http::Response> take(http::Request request) {
    struct IdJson {
      std::string id;
      std::string type;
    };
    const auto event = json::read_lenient<IdJson>(request.body());
    told_.push_back({.id = event->id,
                     .type = event->type,
                     .signature = std::string{request.header("provider-signature")},
                     .body = std::string{request.body()}});
    if (refusals_ > 0) {
      --refusals_;
      co_return http::Response{.status = 500};
    }
    co_return http::no_content();
  }

  static std::string headers(const std::string& key) {
    return std::format("authorization: Bearer {}\r\nidempotency-key: {}\r\n", SimulatorProcess::key,
                       key);
  }

  Task<std::optional<http::ClientResponse>> pay(std::string key, std::string token) {
    http::ClientRequest request{.method = http::Method::post,
                                .target = "/v1/payments",
                                .headers = headers(key),
                                .body = json::write(PayJson{1'299, "EUR", std::move(token), true}),
                                .idempotent = true};
    Context context;
    context = context.within(3s);
    auto answer = co_await if_available(client_->send(std::move(context), std::move(request)));
    co_return answer;
  }

  Task<std::optional<http::ClientResponse>> get(std::string target) {
    http::ClientRequest request{.target = std::move(target), .headers = headers("none")};
    Context context;
    context = context.within(3s);
    auto answer = co_await if_available(client_->send(std::move(context), std::move(request)));
    co_return answer;
  }

  Task<> pay_and_note(std::string key, std::map<std::string, std::string>& ids, int& open) {
    const auto answer = co_await pay(key, "tok_ok");
    if (answer && answer->status == 200) {
      ids[key] = json::read_lenient<ViewJson>(answer->body)->id.value_or("");
    }
    --open;
  }

  /// Charges `count` keys at once while the process is killed; notes what was answered.
  Task<> charge_and_kill(int count, std::map<std::string, std::string>& ids) {
    int open = count;
    for (int i = 0; i < count; ++i) {
      spawn(loops_.at(0), "pay", pay_and_note(std::format("key-{}", i), ids, open));
    }
    while (ids.empty()) co_await sleep_for(1ms);
    simulator_->kill();
    // NOLINTNEXTLINE(bugprone-infinite-loop): each of those spawned counts it down
    while (open > 0) co_await sleep_for(1ms);
  }

  Task<bool> told_at_least(std::size_t count) {
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (told_.size() < count && std::chrono::steady_clock::now() < until) {
      co_await sleep_for(10ms);
    }
    co_return told_.size() >= count;
  }

  StatementJson statement() {
    const auto answer = run(get("/v1/statement?limit=1000"));
    auto lines = json::read_lenient<StatementJson>(answer.value().body);
    return std::move(*lines);
  }

  telemetry::Telemetry telemetry_{{.service = "test", .log_level = "off"}};
  Loops loops_{1};
  std::unique_ptr<http::Server> merchant_;
  std::unique_ptr<SimulatorProcess> simulator_;
  std::unique_ptr<http::Client> client_;
  std::vector<Told> told_;
  int refusals_ = 0;
};

TEST_F(ProcessTest, WhatWasAnsweredOutlivesAKillAndHasItsOutcomeStill) {
  std::map<std::string, std::string> answered;
  run(charge_and_kill(200, answered));
  ASSERT_FALSE(answered.empty());
  simulator_->start();
  run(sleep_for(100ms));  // the breaker of our client

  for (int i = 0; i < 200; ++i) {
    const std::string key = std::format("key-{}", i);
    const auto again = run(pay(key, "tok_ok"));
    ASSERT_TRUE(again) << key;
    const auto view = json::read_lenient<ViewJson>(again->body);
    EXPECT_EQ(view->status, "captured");
    if (answered.contains(key)) {
      EXPECT_EQ(view->id, answered.at(key));
    }
  }
  std::set<std::string> keys;
  std::int64_t number = 0;
  for (const LineJson& line : statement().data) {
    EXPECT_EQ(line.line, ++number);
    EXPECT_TRUE(keys.insert(line.key).second) << line.key << " was captured twice";
  }
  EXPECT_EQ(keys.size(), 200U);
}

TEST_F(ProcessTest, PagesThroughItsStatementByNumber) {
  for (int i = 0; i < 5; ++i) run(pay(std::format("key-{}", i), "tok_ok"));
  const auto first =
      json::read_lenient<StatementJson>(run(get("/v1/statement?after=0&limit=2")).value().body);
  EXPECT_TRUE(first->has_more);
  EXPECT_EQ(first->data.back().line, 2);
  const auto last =
      json::read_lenient<StatementJson>(run(get("/v1/statement?after=4&limit=2")).value().body);
  EXPECT_FALSE(last->has_more);
  EXPECT_EQ(last->data.size(), 1U);
  EXPECT_EQ(run(get("/v1/statement?after=-1")).value().status, 400);
  EXPECT_EQ(run(get("/v1/statement?limit=1001")).value().status, 400);
}

TEST_F(ProcessTest, DoesNotKnowAKeyThatOnlyErred) {
  EXPECT_EQ(run(pay("k", "tok_error_then_ok")).value().status, 500);
  EXPECT_EQ(run(get("/v1/outcomes/k")).value().status, 404);
  simulator_->kill();
  simulator_->start();
  run(sleep_for(100ms));
  EXPECT_EQ(run(pay("k", "tok_error_then_ok")).value().status, 200);
}

TEST_F(ProcessTest, SignsWhatItTells) {
  run(pay("k", "tok_webhook_late"));
  ASSERT_TRUE(run(told_at_least(1)));
  const Told& told = told_.front();
  EXPECT_EQ(told.type, "payment.captured");
  const std::size_t comma = told.signature.find(",v1=");
  ASSERT_NE(comma, std::string::npos);
  const std::string seconds = told.signature.substr(2, comma - 2);
  const Secret<> secret{std::string{SimulatorProcess::webhook_secret}};
  EXPECT_EQ(told.signature.substr(comma + 4),
            hex(crypto::hmac_sha256(secret, seconds + "." + told.body)));
}

TEST_F(ProcessTest, TellsNothingThatItsAnswerSaid) {
  run(pay("k", "tok_ok"));
  run(pay("l", "tok_webhook_duplicate"));
  ASSERT_TRUE(run(told_at_least(2)));
  EXPECT_EQ(told_[0].id, told_[1].id);
  EXPECT_NE(told_[0].body.find(R"("key":"l")"), std::string::npos);
}

TEST_F(ProcessTest, TellsACaptureBeforeItsAuthorisationWhenReordered) {
  run(pay("k", "tok_webhook_reordered"));
  ASSERT_TRUE(run(told_at_least(2)));
  EXPECT_EQ(told_[0].type, "payment.captured");
  EXPECT_EQ(told_[1].type, "payment.authorised");
}

TEST_F(ProcessTest, TellsAgainWhatTheMerchantDidNotTake) {
  refusals_ = 1;
  run(pay("k", "tok_webhook_late"));
  ASSERT_TRUE(run(told_at_least(2)));
  EXPECT_EQ(told_[0].id, told_[1].id);
}

}  // namespace
}  // namespace stoa::simulator
