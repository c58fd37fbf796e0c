#include "services/order-service/adapters/http_api.hpp"

#include <format>

#include <gtest/gtest.h>

#include "servicekit/testing/raw_client.hpp"
#include "servicekit/testing/running_server.hpp"

#include "services/order-service/tests/fakes.hpp"

namespace stoa::order {
namespace {

using testing_support::body_of;
using testing_support::exchange;
using testing_support::header_of;
using testing_support::status_of;

class FakeAuthenticator final : public http::Authenticator {
 public:
  Task<Result<http::Identity>> authenticate(Context, std::string_view token) override {
    http::Identity identity;
    identity.kind = http::Identity::Kind::user;
    if (token == "ada") identity.user = user_id(1);
    if (token == "bob") identity.user = user_id(2);
    if (token == "staff") {
      identity.user = user_id(3);
      identity.scopes = {"orders:read_all", "orders:write"};
    }
    if (token.ends_with("-service")) {
      identity.kind = http::Identity::Kind::service;
      identity.service = token;
    }
    co_return identity;
  }
};

class HttpApiTest : public testing::Test {
 protected:
  struct Call {
    std::string method = "GET";
    std::string path = "/api/v1/orders";
    std::string token = "ada";
    std::string headers{};
    std::string body{};
  };

  std::string send(Call call) {
    std::string request = std::format(
        "{} {} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {}\r\n{}",
        call.method, call.path, call.token, call.headers);
    if (!call.body.empty()) {
      request +=
          std::format("content-type: application/json\r\ncontent-length: {}\r\n", call.body.size());
    } else if (call.method == "POST") {
      request += "content-length: 0\r\n";
    }
    return exchange(server_.port(), request + "\r\n" + call.body);
  }

  static std::string order_body(int quantity = 2) {
    return std::format(
        R"({{"lines":[{{"variant_id":"{}","quantity":{}}}],"currency":"EUR",)"
        R"("shipping_address":{{"name":"Ada","line1":"Main Street 1","city":"Berlin",)"
        R"("postal_code":"10115","country":"DE"}},"payment_method":{{"token":"tok_ok"}}}})",
        variant_id(7).str(), quantity);
  }

  std::string place(std::string key = "k-1", std::string body = order_body(),
                    std::string token = "ada") {
    return send({.method = "POST",
                 .token = std::move(token),
                 .headers = "Idempotency-Key: " + key + "\r\n",
                 .body = std::move(body)});
  }

  static bool has(const std::string& answer, std::string_view piece) {
    return body_of(answer).contains(piece);
  }

  FakeStock stock_;
  FakePayments payments_;
  FakeStore store_;
  FakePublisher publisher_;
  std::uint8_t next_ = 0;
  Orders orders_{stock_,
                 payments_,
                 store_,
                 publisher_,
                 {.next_id = [this] { return order_id(++next_); },
                  .now = [] { return noon; },
                  .render_placed = render_placed,
                  .render_cancelling = render_cancelling,
                  .lost_event_id = [](const OrderId&, PaymentResult) { return uuid(200, 9); }}};
  HttpApi api_{orders_, Cursors{Secret<>{"key"}}};
  FakeAuthenticator authenticator_;
  testing_support::RunningServer server_{[this] {
                                           http::Router router;
                                           api_.mount(router);
                                           return router;
                                         }(),
                                         {},
                                         &authenticator_};
};

TEST_F(HttpApiTest, PlacesAnOrder) {
  const auto answer = place();
  EXPECT_EQ(status_of(answer), 201);
  EXPECT_EQ(header_of(answer, "location"), "/api/v1/orders/" + order_id(1).str());
  EXPECT_EQ(header_of(answer, "cache-control"), "private, no-store");
  EXPECT_TRUE(has(answer, R"("number":"S-100001")"));
  EXPECT_TRUE(has(answer, R"("status":"pending")"));
  EXPECT_TRUE(has(answer, R"("total":{"amount":200,"currency":"EUR"})"));
  EXPECT_TRUE(has(answer, R"("created_at":"1970-01-01T12:00:00.000Z")"));
}

TEST_F(HttpApiTest, ReplaysTheFirstAnswerByteForByte) {
  const auto first = place();
  const auto again = place();
  EXPECT_EQ(status_of(again), 201);
  EXPECT_EQ(body_of(again), body_of(first));
  EXPECT_EQ(header_of(again, "idempotent-replayed"), "true");
  EXPECT_EQ(header_of(first, "idempotent-replayed"), "");
  EXPECT_EQ(header_of(again, "location"), header_of(first, "location"));
}

TEST_F(HttpApiTest, ComparesRequestsByTheirMeaning) {
  ASSERT_EQ(status_of(place()), 201);
  auto spaced = order_body();
  spaced.insert(1, "\n  ");
  EXPECT_EQ(header_of(place("k-1", spaced), "idempotent-replayed"), "true");
  const auto misused = place("k-1", order_body(3));
  EXPECT_EQ(status_of(misused), 422);
  EXPECT_TRUE(has(misused, "idempotency_key_reused"));
}

TEST_F(HttpApiTest, KeysOfTwoCallersAreTwoKeys) {
  ASSERT_EQ(status_of(place("k-1", order_body(), "ada")), 201);
  const auto other = place("k-1", order_body(), "bob");
  EXPECT_EQ(status_of(other), 201);
  EXPECT_EQ(header_of(other, "idempotent-replayed"), "");
}

TEST_F(HttpApiTest, DemandsAUsableKey) {
  const auto without = send({.method = "POST", .body = order_body()});
  EXPECT_EQ(status_of(without), 400);
  EXPECT_TRUE(has(without, "idempotency_key_required"));
  EXPECT_EQ(status_of(place(std::string(255, 'k'))), 201);
  EXPECT_TRUE(has(place(std::string(256, 'k')), "bad_idempotency_key"));
  EXPECT_TRUE(has(place(""), "bad_idempotency_key"));
  EXPECT_TRUE(has(place("k-1\r\nIdempotency-Key: k-2"), "bad_idempotency_key"));
}

TEST_F(HttpApiTest, TellsWhatIsOutOfStock) {
  stock_.refusal = Error{.kind = ErrorKind::conflict,
                         .code = "out_of_stock",
                         .detail = "not enough",
                         .fields = {{"/lines/0/quantity", "out_of_stock", "1 available"}}};
  const auto answer = place();
  EXPECT_EQ(status_of(answer), 409);
  EXPECT_TRUE(has(answer, R"("pointer":"/lines/0/quantity")"));
  EXPECT_TRUE(has(answer, "1 available"));
}

TEST_F(HttpApiTest, ShowsAnOrderToItsOwnerAndToStaff) {
  ASSERT_EQ(status_of(place()), 201);
  const std::string path = "/api/v1/orders/" + order_id(1).str();
  const auto own = send({.path = path});
  EXPECT_EQ(status_of(own), 200);
  EXPECT_EQ(header_of(own, "etag"), "\"1\"");
  EXPECT_EQ(status_of(send({.path = path, .token = "staff"})), 200);
  EXPECT_EQ(status_of(send({.path = path, .token = "bob"})), 404);
  EXPECT_EQ(status_of(send({.path = path + "/events", .token = "bob"})), 404);
  EXPECT_EQ(status_of(send({.path = "/api/v1/orders/nonsense"})), 404);
  EXPECT_TRUE(has(send({.path = path + "/events"}), R"("type":"order.placed")"));
}

TEST_F(HttpApiTest, SendsNothingTwiceThatHasNotChanged) {
  ASSERT_EQ(status_of(place()), 201);
  const std::string path = "/api/v1/orders/" + order_id(1).str();
  EXPECT_EQ(status_of(send({.path = path, .headers = "If-None-Match: \"1\"\r\n"})), 304);
  EXPECT_EQ(status_of(send({.path = path, .headers = "If-None-Match: \"2\"\r\n"})), 200);
}

TEST_F(HttpApiTest, CancelsForTheOwnerAndForStaff) {
  ASSERT_EQ(status_of(place()), 201);
  const std::string path = "/api/v1/orders/" + order_id(1).str() + "/cancel";
  EXPECT_EQ(status_of(send({.method = "POST", .path = path, .token = "bob"})), 404);
  const auto asked = send({.method = "POST", .path = path});
  EXPECT_EQ(status_of(asked), 202);
  EXPECT_TRUE(has(asked, R"("status":"cancelling")"));
  EXPECT_TRUE(has(asked, R"("reason":"customer")"));
  EXPECT_EQ(status_of(send({.method = "POST", .path = path, .token = "staff"})), 202);
}

TEST_F(HttpApiTest, ListsInPagesThatBelongTogether) {
  for (int i = 0; i < 3; ++i) ASSERT_EQ(status_of(place(std::format("k-{}", i))), 201);
  const auto first = send({.path = "/api/v1/orders?limit=2"});
  EXPECT_TRUE(has(first, R"("has_more":true)"));
  EXPECT_TRUE(has(first, order_id(3).str()));
  EXPECT_FALSE(has(first, order_id(1).str()));
  const std::string link = header_of(first, "link");
  const std::string next = link.substr(1, link.find('>') - 1);

  const auto second = send({.path = next});
  EXPECT_TRUE(has(second, order_id(1).str()));
  EXPECT_FALSE(has(second, order_id(3).str()));
  EXPECT_TRUE(has(second, R"("has_more":false)"));
  EXPECT_EQ(header_of(second, "link"), "");

  EXPECT_EQ(status_of(send({.path = next, .token = "bob"})), 400) << "a cursor is its caller's";
  EXPECT_EQ(status_of(send({.path = next + "&status=paid"})), 400) << "and of its filters";
}

TEST_F(HttpApiTest, TellsATotalOnEveryPageOfAListThatAskedForIt) {
  for (int i = 0; i < 3; ++i) ASSERT_EQ(status_of(place(std::format("k-{}", i))), 201);
  const auto first = send({.path = "/api/v1/orders?limit=2&include_total=estimate"});
  EXPECT_TRUE(has(first, R"("total":{"value":3,"relation":"exact"},"next_cursor":)"));
  const std::string link = header_of(first, "link");
  const auto second = send({.path = link.substr(1, link.find('>') - 1)});
  EXPECT_TRUE(has(second, R"("has_more":false,"total":{"value":3,"relation":"exact"}})"));
  const auto staffs =
      send({.path = "/api/v1/admin/orders?status=paid&include_total=estimate", .token = "staff"});
  EXPECT_TRUE(has(staffs, R"("total":{"value":0,"relation":"exact"})"));
  EXPECT_FALSE(has(send({}), "relation"));
}

TEST_F(HttpApiTest, RefusesQueriesItDoesNotKnow) {
  for (const auto* query :
       {"?colour=red", "?limit=0", "?limit=101", "?limit=x", "?sort=total", "?status=lost",
        "?cursor=AAAA", "?customer_id=usr_1", "?include_total=exact"}) {
    const auto answer = send({.path = std::string{"/api/v1/orders"} + query});
    EXPECT_EQ(status_of(answer), 400) << query;
  }
}

TEST_F(HttpApiTest, ListsEverybodysOrdersForStaffOnly) {
  ASSERT_EQ(status_of(place("k-1", order_body(), "ada")), 201);
  ASSERT_EQ(status_of(place("k-1", order_body(), "bob")), 201);
  EXPECT_EQ(status_of(send({.path = "/api/v1/admin/orders"})), 403);
  const auto all = send({.path = "/api/v1/admin/orders", .token = "staff"});
  EXPECT_TRUE(has(all, order_id(1).str()));
  EXPECT_TRUE(has(all, order_id(2).str()));
  const auto bobs =
      send({.path = "/api/v1/admin/orders?customer_id=" + user_id(2).str(), .token = "staff"});
  EXPECT_FALSE(has(bobs, order_id(1).str()));
  EXPECT_TRUE(has(bobs, order_id(2).str()));
}

TEST_F(HttpApiTest, TellsProductServiceWhoHoldsAReservation) {
  ASSERT_EQ(status_of(place()), 201);
  const auto ask = [&](ReservationId id, std::string token) {
    return send({.method = "POST",
                 .path = std::format("/internal/v1/reservations/{}/abandon", id.str()),
                 .token = std::move(token),
                 .body = std::format(R"({{"origin":"{}"}})", origin_of(9).value.str())});
  };
  EXPECT_EQ(status_of(ask({uuid(9)}, "ada")), 403);
  EXPECT_EQ(status_of(ask({uuid(9)}, "payment-service")), 403);
  EXPECT_EQ(body_of(ask({uuid(9)}, "product-service")), R"({"state":"abandoned"})");
  EXPECT_EQ(body_of(ask(stock_.reserved.at(0), "product-service")),
            std::format(R"({{"state":"held","order_id":"{}","order_status":"pending"}})",
                        order_id(1).str()));
}

}  // namespace
}  // namespace stoa::order
