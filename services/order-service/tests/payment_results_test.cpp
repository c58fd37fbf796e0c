#include "services/order-service/adapters/payment_results.hpp"

#include <format>

#include <gtest/gtest.h>

#include "servicekit/testing/run.hpp"

#include "services/order-service/tests/fakes.hpp"

namespace stoa::order {
namespace {

using messaging::Event;
using messaging::Verdict;

class PaymentResultsTest : public testing::Test {
 protected:
  Event event(std::string type, std::string more = "", OrderId order = order_id(1)) {
    return {.id = uuid(++events_, 9),
            .source = "payment-service",
            .type = std::move(type),
            .version = 1,
            .subject = order.str(),
            .data = std::format(R"({{"order_id":"{}","customer_id":"{}","from_the_future":1{}}})",
                                order.str(), user_id(1).str(), more)};
  }

  std::vector<Verdict::Kind> handle(std::vector<Event> events) {
    std::vector<Verdict::Kind> kinds;
    for (const Verdict& verdict : testing_support::run(results_.handle({}, std::move(events)))) {
      kinds.push_back(verdict.kind);
    }
    return kinds;
  }

  Status status() { return store_.rows.at(order_id(1)).order.status; }

  void SetUp() override {
    auto order = order::place({.id = order_id(1),
                               .number = {1},
                               .customer = user_id(1),
                               .reservation = {},
                               .lines = {{.variant = variant_id(7),
                                          .sku = "SKU-7",
                                          .name = "Teapot",
                                          .quantity = 1,
                                          .unit_price = Money{100, currencies::eur}}},
                               .currency = currencies::eur,
                               .shipping_address = some_address(),
                               .shipping_method = "standard",
                               .now = noon});
    testing_support::run(store_.insert_if_first(
        {}, {.order = std::move(*order), .key = {}, .answer = {}, .payment_token = "tok_ok"}));
  }

  FakeStock stock_;
  FakePayments payments_;
  FakeStore store_;
  FakePublisher publisher_;
  std::uint8_t events_ = 0;
  Orders orders_{stock_, payments_, store_, publisher_, {}};
  PaymentResults results_{orders_};
};

TEST_F(PaymentResultsTest, PaysAnOrderAndIgnoresMembersItDoesNotKnow) {
  EXPECT_EQ(handle({event("payment.captured")}), std::vector{Verdict::Kind::done});
  EXPECT_EQ(status(), Status::paid);
  EXPECT_EQ(publisher_.woken, 1);
}

TEST_F(PaymentResultsTest, FailsAnOrderWithItsReason) {
  EXPECT_EQ(handle({event("payment.declined", R"(,"reason":"insufficient_funds")")}),
            std::vector{Verdict::Kind::done});
  EXPECT_EQ(store_.rows.at(order_id(1)).order.reason, "insufficient_funds");
}

TEST_F(PaymentResultsTest, CancelsOnlyByARefundThatClosesTheOrder) {
  handle({event("payment.captured")});
  auto cancelling = order::cancel(store_.rows.at(order_id(1)).order, CancelReason::customer, noon);
  testing_support::run(store_.store_cancelling({}, std::move(*cancelling), CancelReason::customer,
                                               std::nullopt, {}));
  EXPECT_EQ(handle({event("payment.refunded", R"(,"closes_order":false)")}),
            std::vector{Verdict::Kind::done});
  EXPECT_EQ(status(), Status::cancelling);
  EXPECT_EQ(handle({event("payment.refunded", R"(,"closes_order":true)")}),
            std::vector{Verdict::Kind::done});
  EXPECT_EQ(status(), Status::cancelled);
}

TEST_F(PaymentResultsTest, AsksForWhatWasCapturedForAnOrderThatNobodyKnows) {
  EXPECT_EQ(handle({event("payment.captured", "", order_id(7))}), std::vector{Verdict::Kind::done});
  EXPECT_EQ(store_.told.back(), (Told{"order.cancel_requested", order_id(7), 1}));
  EXPECT_EQ(handle({event("payment.refunded", R"(,"closes_order":true)", order_id(7))}),
            std::vector{Verdict::Kind::done});
}

TEST_F(PaymentResultsTest, RefusesWhatItCannotReadAndDoesTheRest) {
  Event unreadable = event("payment.captured");
  unreadable.data = "{";
  Event nameless = event("payment.captured");
  nameless.data = R"({"order_id":"usr_1"})";
  Event nobodys = event("payment.captured");
  nobodys.data = std::format(R"({{"order_id":"{}","customer_id":"ord_1"}})", order_id(1).str());
  Event newer = event("payment.captured");
  newer.version = 2;
  EXPECT_EQ(handle({unreadable, event("payment.captured"), nameless, newer, event("order.paid"),
                    nobodys}),
            (std::vector{Verdict::Kind::refuse, Verdict::Kind::done, Verdict::Kind::refuse,
                         Verdict::Kind::refuse, Verdict::Kind::refuse, Verdict::Kind::refuse}));
  EXPECT_EQ(status(), Status::paid);
}

}  // namespace
}  // namespace stoa::order
