#include "services/payment-service/adapters/http_api.hpp"

#include <atomic>
#include <chrono>
#include <format>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "servicekit/core/encoding.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/json/json.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/raw_client.hpp"
#include "servicekit/testing/run.hpp"

#include "services/payment-service/adapters/webhook_signature.hpp"
#include "services/payment-service/tests/fake_payment_store.hpp"

namespace stoa::payment {
namespace {

using namespace std::chrono_literals;
using testing_support::body_of;
using testing_support::header_of;
using testing_support::status_of;

constexpr Money price{1'299, currencies::eur};

/// Takes the token for the name of who asks: "owner", "stranger", "staff", "order-service".
class Names final : public http::Authenticator {
 public:
  explicit Names(UserId owner) : owner_{owner} {}

  Task<Result<http::Identity>> authenticate(Context, std::string_view token) override {
    http::Identity identity;
    identity.kind = http::Identity::Kind::user;
    identity.user = token == "owner" ? owner_ : UserId{crypto::new_uuid()};
    if (token == "staff") {
      identity.user = staff_;
      identity.scopes = {"payments:read", "payments:refund"};
    }
    if (token == "order-service" || token == "product-service") {
      identity.kind = http::Identity::Kind::service;
      identity.service = token;
    }
    co_return identity;
  }

 private:
  UserId owner_;
  UserId staff_{crypto::new_uuid()};
};

class NoProvider final : public Provider {
 public:
  Task<ChargeOutcome> charge(Context, Charge) override { throw Unavailable{"none"}; }
  Task<std::optional<ChargeOutcome>> ask_charge(Context, AttemptId) override {
    throw Unavailable{"none"};
  }
  Task<ChargeOutcome> void_charge(Context, AttemptId) override { throw Unavailable{"none"}; }
  Task<RefundOutcome> refund(Context, RefundCall) override { throw Unavailable{"none"}; }
  Task<std::optional<RefundOutcome>> ask_refund(Context, RefundId) override {
    throw Unavailable{"none"};
  }
  Task<std::optional<RefundOutcome>> void_refund(Context, RefundId) override {
    throw Unavailable{"none"};
  }
};

class HttpApiTest : public testing::Test {
 protected:
  HttpApiTest() {
    http::Router router;
    api_.mount(router);
    server_ = std::make_unique<http::Server>(loops_, std::move(router), &names_, telemetry_,
                                             http::ServerConfig{});
    capture();
    server_->start();
    thread_ = std::thread{[this] { loops_.run(); }};
  }
  ~HttpApiTest() override {
    loops_.stop();
    thread_.join();
  }
  HttpApiTest(const HttpApiTest&) = delete;
  HttpApiTest& operator=(const HttpApiTest&) = delete;

  /// An order of the owner, captured.
  void capture() {
    placed_ = {.event = crypto::new_uuid(),
               .order = {crypto::new_uuid()},
               .customer = owner_,
               .amount = price,
               .token = "tok_ok",
               .traceparent = "",
               .payment = {crypto::new_uuid()},
               .attempt = {crypto::new_uuid()}};
    Payment payment{
        .id = placed_->payment, .order = placed_->order, .customer = owner_, .amount = price};
    payment = settle_charge(payment, {.kind = ChargeOutcome::Kind::captured}).payment;
    store_.payments.emplace(placed_->order, payment);
    for (std::uint8_t i = 1; i <= 3; ++i) {
      Uuid transaction;
      transaction.bytes[15] = i;
      store_.ledger.emplace_back(transaction, Entry{Account::provider_cash, price});
    }
  }

  std::string send(const std::string& method, const std::string& target, const std::string& who,
                   const std::string& body = "", const std::string& headers = "") {
    std::string text =
        std::format("{} {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n", method, target);
    if (!who.empty()) text += "authorization: Bearer " + who + "\r\n";
    if (!body.empty()) {
      text += std::format("content-type: application/json\r\ncontent-length: {}\r\n", body.size());
    }
    return testing_support::exchange(server_->port(), text + headers + "\r\n" + body);
  }
  std::string get(const std::string& target, const std::string& who) {
    return send("GET", target, who);
  }
  std::string refund(const std::string& body, const std::string& key = "k1",
                     const std::string& who = "staff") {
    return send("POST", payment_path() + "/refunds", who, body,
                key.empty() ? "" : "idempotency-key: " + key + "\r\n");
  }
  std::string payment_path() const { return "/api/v1/payments/" + placed_->payment.str(); }

  std::string webhook(const std::string& body, std::int64_t seconds_off = 0,
                      const std::string& secret = "whsec") {
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    const std::int64_t t = now.time_since_epoch().count() + seconds_off;
    const auto digest = crypto::hmac_sha256(Secret<>{secret}, std::format("{}.{}", t, body));
    return send("POST", "/api/v1/webhooks/psp", "", body,
                std::format("provider-signature: t={},v1={}\r\n", t, hex(digest)));
  }

  static bool says(const std::string& response, const std::string& text) {
    return body_of(response).find(text) != std::string_view::npos;
  }

  telemetry::Telemetry telemetry_{{.service = "payment-service", .log_level = "off"}};
  Loops loops_{1};
  UserId owner_{crypto::new_uuid()};
  Names names_{owner_};
  FakePaymentStore store_;
  NoProvider provider_;
  Refunds refunds_{loops_, store_, provider_, [] { return 1.0; }, {}};
  std::atomic<int> wakes_{0};
  HttpApi api_{refunds_, store_, Cursors{Secret<>{std::string{"k"}}},
               Secret<>{std::string{"whsec"}}, [this] { ++wakes_; }};
  std::optional<PlacedOrder> placed_;
  std::unique_ptr<http::Server> server_;
  std::thread thread_;
};

constexpr std::string_view half = R"({"amount":{"amount":600,"currency":"EUR"},"reason":"broken"})";

TEST_F(HttpApiTest, ShowsAPaymentToItsOwnerAndToStaff) {
  for (const std::string who : {"owner", "staff"}) {
    const auto response = get(payment_path(), who);
    EXPECT_EQ(status_of(response), 200);
    EXPECT_TRUE(says(response, R"("status":"captured")"));
    EXPECT_TRUE(says(response, R"("captured":{"amount":1299,"currency":"EUR"})"));
    EXPECT_EQ(header_of(response, "cache-control"), "private, no-store");
  }
}

TEST_F(HttpApiTest, IsNotFoundForAnotherPerson) {
  EXPECT_EQ(status_of(get(payment_path(), "stranger")), 404);
  const auto list = get("/api/v1/payments?order_id=" + placed_->order.str(), "stranger");
  EXPECT_EQ(body_of(list), R"({"data":[],"has_more":false})");
}

TEST_F(HttpApiTest, IsNotFoundForAnIdThatIsNone) {
  EXPECT_TRUE(says(get("/api/v1/payments/pay_1", "staff"), "payment_not_found"));
}

TEST_F(HttpApiTest, WantsAToken) { EXPECT_EQ(status_of(get(payment_path(), "")), 401); }

TEST_F(HttpApiTest, AnswersNotModifiedToWhoHasIt) {
  const auto first = get(payment_path(), "owner");
  const std::string tag{header_of(first, "etag")};
  ASSERT_FALSE(tag.empty());
  const auto again = send("GET", payment_path(), "owner", "", "if-none-match: " + tag + "\r\n");
  EXPECT_EQ(status_of(again), 304);
  const auto other = send("GET", payment_path(), "owner", "", "if-none-match: \"x\"\r\n");
  EXPECT_EQ(status_of(other), 200);
}

TEST_F(HttpApiTest, ListsByOrderOnly) {
  const auto list = get("/api/v1/payments?order_id=" + placed_->order.str(), "owner");
  EXPECT_TRUE(says(list, placed_->payment.str()));
  EXPECT_EQ(status_of(get("/api/v1/payments", "owner")), 400);
  EXPECT_TRUE(says(get("/api/v1/payments?orderid=x", "owner"), "unknown_parameter"));
  EXPECT_EQ(status_of(get("/api/v1/payments?order_id=x", "owner")), 200);
}

TEST_F(HttpApiTest, AcceptsARefundAndRepeatsItsAnswer) {
  const auto first = refund(std::string{half});
  EXPECT_EQ(status_of(first), 202);
  EXPECT_TRUE(says(first, R"("status":"pending")"));
  EXPECT_EQ(header_of(first, "location"), payment_path());
  EXPECT_EQ(header_of(first, "idempotent-replayed"), "");

  const auto again = refund(std::string{half});
  EXPECT_EQ(body_of(again), body_of(first));
  EXPECT_EQ(header_of(again, "idempotent-replayed"), "true");
  EXPECT_EQ(header_of(again, "location"), payment_path());
}

struct RefundCase {
  std::string name;
  std::string body;
  std::string key;
  std::string who;
  int status;
  std::string code;

  friend std::ostream& operator<<(std::ostream& out, const RefundCase& each) {
    return out << each.name;
  }
};

class RefusedRefund : public HttpApiTest, public testing::WithParamInterface<RefundCase> {};

TEST_P(RefusedRefund, SaysWhy) {
  const auto response = refund(GetParam().body, GetParam().key, GetParam().who);
  EXPECT_EQ(status_of(response), GetParam().status) << response;
  EXPECT_TRUE(says(response, GetParam().code)) << response;
  EXPECT_TRUE(store_.refund_rows.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Cases, RefusedRefund,
    testing::Values(
        RefundCase{"no_key", std::string{half}, "", "staff", 400, "idempotency_key_required"},
        RefundCase{"no_scope", std::string{half}, "k", "owner", 403, "scope_missing"},
        RefundCase{"no_json", "{", "k", "staff", 400, "malformed_json"},
        RefundCase{"no_amount", R"({"reason":"x"})", "k", "staff", 422, "/amount"},
        RefundCase{"zero", R"({"amount":{"amount":0,"currency":"EUR"},"reason":"x"})", "k", "staff",
                   422, "/amount/amount"},
        RefundCase{"negative", R"({"amount":{"amount":-5,"currency":"EUR"},"reason":"x"})", "k",
                   "staff", 422, "/amount/amount"},
        RefundCase{"no_currency", R"({"amount":{"amount":5,"currency":"EURO"},"reason":"x"})", "k",
                   "staff", 422, "/amount/currency"},
        RefundCase{"other_currency", R"({"amount":{"amount":5,"currency":"USD"},"reason":"x"})",
                   "k", "staff", 422, "refund_currency"},
        RefundCase{"no_reason", R"({"amount":{"amount":5,"currency":"EUR"},"reason":""})", "k",
                   "staff", 422, "/reason"},
        RefundCase{"unknown_member",
                   R"({"amount":{"amount":5,"currency":"EUR"},"reason":"x","force":true})", "k",
                   "staff", 422, "/force"},
        RefundCase{"too_much", R"({"amount":{"amount":1300,"currency":"EUR"},"reason":"x"})", "k",
                   "staff", 409, "refund_exceeds_captured"}),
    [](const auto& each) { return each.param.name; });

TEST_F(HttpApiTest, RefusesAKeyThatCameWithAnotherRefund) {
  refund(std::string{half});
  const auto other = refund(R"({"amount":{"amount":1,"currency":"EUR"},"reason":"broken"})");
  EXPECT_TRUE(says(other, "idempotency_key_reused"));
}

TEST_F(HttpApiTest, KeepsTheLedgerForStaff) {
  EXPECT_EQ(status_of(get("/api/v1/ledger/accounts", "owner")), 403);
  EXPECT_EQ(status_of(get("/api/v1/ledger/entries", "owner")), 403);
  EXPECT_TRUE(says(get("/api/v1/ledger/accounts", "staff"), R"("account":"provider_cash")"));
}

struct CursorJson {
  std::string next_cursor;
};

TEST_F(HttpApiTest, PagesThroughTheLedgerWithASignedCursor) {
  const auto first = get("/api/v1/ledger/entries?limit=2", "staff");
  EXPECT_TRUE(says(first, R"("has_more":true)"));
  const std::string cursor = json::read_lenient<CursorJson>(body_of(first))->next_cursor;
  EXPECT_NE(header_of(first, "link").find(cursor), std::string_view::npos);

  const auto second = get("/api/v1/ledger/entries?limit=2&cursor=" + cursor, "staff");
  EXPECT_TRUE(says(second, R"("has_more":false)"));
  EXPECT_TRUE(says(second, "00000000-0000-0000-0000-000000000001"));
  EXPECT_FALSE(says(second, "00000000-0000-0000-0000-000000000002"));

  std::string forged = cursor;
  forged[forged.size() / 2] = forged[forged.size() / 2] == 'A' ? 'B' : 'A';
  EXPECT_TRUE(says(get("/api/v1/ledger/entries?cursor=" + forged, "staff"), "bad_cursor"));
  EXPECT_TRUE(says(get("/api/v1/ledger/entries?account=provider_cash&cursor=" + cursor, "staff"),
                   "bad_cursor"));
}

TEST_F(HttpApiTest, TellsATotalOnEveryPageOfTheLedgerThatAskedForIt) {
  const auto first = get("/api/v1/ledger/entries?limit=2&include_total=estimate", "staff");
  EXPECT_TRUE(says(first, R"("total":{"value":3,"relation":"exact"},"next_cursor":)"));
  const std::string link{header_of(first, "link")};
  const auto second = get(link.substr(1, link.find('>') - 1), "staff");
  EXPECT_TRUE(says(second, R"("has_more":false,"total":{"value":3,"relation":"exact"}})"));
  EXPECT_FALSE(says(get("/api/v1/ledger/entries", "staff"), "relation"));
  EXPECT_TRUE(says(get("/api/v1/ledger/entries?include_total=exact", "staff"), "bad_parameter"));
}

TEST_F(HttpApiTest, TellsOrderServiceAndNobodyElseTheState) {
  const std::string path = "/internal/v1/orders/" + placed_->order.str() + "/payment";
  EXPECT_EQ(body_of(get(path, "order-service")),
            R"({"state":"captured","payment_id":")" + placed_->payment.str() + R"("})");
  EXPECT_EQ(status_of(get(path, "product-service")), 403);
  EXPECT_EQ(status_of(get(path, "staff")), 403);
  const std::string other = OrderId{crypto::new_uuid()}.str();
  EXPECT_EQ(body_of(get("/internal/v1/orders/" + other + "/payment", "order-service")),
            R"({"state":"none"})");
}

TEST_F(HttpApiTest, TakesAWebhookOnceAndWakesTheWorkerOnce) {
  const std::string body = R"({"id":"whk_1","type":"payment.captured","data":{"key":"att_x"}})";
  EXPECT_EQ(status_of(webhook(body)), 204);
  EXPECT_EQ(status_of(webhook(body)), 204);
  EXPECT_EQ(wakes_, 1);
}

TEST_F(HttpApiTest, RefusesASignedWebhookThatCannotBeStored) {
  const std::string id(256, 'x');
  const auto response =
      webhook(R"({"id":")" + id + R"(","type":"payment.captured","data":{"key":""}})");
  EXPECT_EQ(status_of(response), 422);
  EXPECT_TRUE(says(response, R"("pointer":"/id")"));
  EXPECT_TRUE(says(response, R"("pointer":"/data/key")"));
}

TEST_F(HttpApiTest, RefusesWhatTheProviderDidNotSign) {
  const std::string body = R"({"id":"whk_1","type":"payment.captured","data":{"key":"att_x"}})";
  EXPECT_TRUE(says(webhook(body, 0, "guess"), "webhook_signature_invalid"));
  EXPECT_EQ(status_of(send("POST", "/api/v1/webhooks/psp", "", body)), 401);
  EXPECT_EQ(wakes_, 0);
}

TEST(WebhookSignature, IsGoodForTenMinutesEitherWay) {
  const Secret<> secret{std::string{"s"}};
  const std::chrono::sys_seconds signed_at{1'000'000s};
  const auto digest = crypto::hmac_sha256(secret, "1000000.{}");
  const std::string header = "t=1000000,v1=" + hex(digest);
  EXPECT_TRUE(verify_webhook(secret, header, "{}", signed_at));
  EXPECT_TRUE(verify_webhook(secret, header, "{}", signed_at + 600s));
  EXPECT_TRUE(verify_webhook(secret, header, "{}", signed_at - 600s));
  EXPECT_FALSE(verify_webhook(secret, header, "{}", signed_at + 601s));
  EXPECT_FALSE(verify_webhook(secret, header, "{}", signed_at - 601s));
  EXPECT_FALSE(verify_webhook(secret, header, "{ }", signed_at));
}

TEST(WebhookSignature, TakesTheNewSecretBesideTheOldOne) {
  const Secret<> secret{std::string{"s"}};
  const std::string good = hex(crypto::hmac_sha256(secret, "5.{}"));
  const std::chrono::sys_seconds now{5s};
  EXPECT_TRUE(verify_webhook(secret, "t=5,v1=00,v1=" + good, "{}", now));
  EXPECT_TRUE(verify_webhook(secret, "v1=" + good + ",t=5,v2=x", "{}", now));
}

TEST(WebhookSignature, RefusesEveryOtherShape) {
  const Secret<> secret{std::string{"s"}};
  const std::chrono::sys_seconds now{5s};
  for (const std::string header :
       {"", ",", "t=", "t=x,v1=00", "v1=00", "t=5", "t=5,v1=", "t=99999999999999999999,v1=00",
        "t=-9223372036854775808,v1=00"}) {
    EXPECT_FALSE(verify_webhook(secret, header, "{}", now)) << header;
  }
}

}  // namespace
}  // namespace stoa::payment
