#include "services/order-service/app/orders.hpp"

#include <tuple>

#include <gtest/gtest.h>

#include "servicekit/testing/run.hpp"

#include "services/order-service/tests/fakes.hpp"

namespace stoa::order {
namespace {

using testing_support::run;

class OrdersTest : public testing::Test {
 protected:
  PlaceOrder command(std::vector<WantedLine> wanted, std::string fingerprint = "f-1") {
    return {.wanted = std::move(wanted),
            .currency = currencies::eur,
            .shipping_address = some_address(),
            .shipping_method = "standard",
            .payment_token = "tok_ok",
            .customer = user_id(1),
            .key = {.caller = user_id(1).str(),
                    .origin = origin_of(1),
                    .fingerprint = std::move(fingerprint)}};
  }

  Result<Answer> place(std::vector<WantedLine> wanted, std::string fingerprint = "f-1") {
    return run(orders_.place({}, command(std::move(wanted), std::move(fingerprint))));
  }
  Result<Answer> place() { return place({{.variant = variant_id(7), .quantity = 3}}); }

  OrderId placed() {
    EXPECT_TRUE(place());
    return order_id(1);
  }

  std::vector<Effect> apply(std::vector<PaymentResult> results, OrderId order = order_id(1)) {
    std::vector<PaymentFact> facts;
    for (const PaymentResult result : results) {
      facts.push_back({.event = uuid(++events_, 9),
                       .order = order,
                       .customer = user_id(1),
                       .result = result,
                       .reason = std::nullopt,
                       .traceparent = ""});
    }
    return run(orders_.apply({}, std::move(facts)));
  }

  Result<Answer> cancel(UserId by, bool staff = false, std::optional<IdempotencyKey> key = {}) {
    return run(orders_.cancel(
        {},
        {.id = order_id(1), .viewer = {.user = by, .writes_all = staff}, .key = std::move(key)}));
  }

  Status status() { return store_.rows.at(order_id(1)).order.status; }

  // The payment's deadline passes with every event on its way.
  std::size_t sweep_overdue() {
    store_.publish();
    store_.clock += test_patience.pending;
    return run(orders_.sweep({}));
  }

  FakeStock stock_;
  FakePayments payments_;
  FakeStore store_;
  FakePublisher publisher_;
  std::uint8_t next_ = 0;
  std::uint8_t events_ = 0;
  Orders orders_{stock_,
                 payments_,
                 store_,
                 publisher_,
                 {.next_id = [this] { return order_id(++next_); },
                  .now = [] { return noon; },
                  .render_placed =
                      [](const Order& order) {
                        return Answer{
                            .status = 201,
                            .body = text(order.number) + " " + order.amounts.total.decimal()};
                      },
                  .render_cancelling =
                      [](const Order& order) {
                        return Answer{.status = 202, .body = std::string{name(order.status)}};
                      },
                  .lost_event_id = [](const OrderId&, PaymentResult) { return uuid(200, 9); }}};
};

using Place = OrdersTest;
using Look = OrdersTest;
using Cancel = OrdersTest;
using Apply = OrdersTest;
using Sweep = OrdersTest;

TEST_F(Place, StoresWhatTheCatalogueChargesAndTellsIt) {
  EXPECT_EQ(place()->body, "S-100001 3.00");
  EXPECT_EQ(store_.told, (std::vector<Told>{{"order.placed", order_id(1), 1}}));
  EXPECT_EQ(publisher_.woken, 1);
}

TEST_F(Place, AnswersARetryByteForByteWithoutAskingForStock) {
  const auto first = place();
  stock_.gone = true;

  const auto again = place();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->body, first->body);
  EXPECT_TRUE(again->replayed);
  EXPECT_FALSE(first->replayed);
}

TEST_F(Place, RefusesTheKeyForAnotherRequest) {
  ASSERT_TRUE(place({{variant_id(7), 3}}, "f-1"));

  EXPECT_EQ(place({{variant_id(8), 1}}, "f-2").error().code, "idempotency_key_reused");
}

TEST_F(Place, HoldsNoStockForAnOrderThatBreaksARule) {
  EXPECT_EQ(place({}).error().code, "order_empty");
  EXPECT_TRUE(stock_.reserved.empty());
}

TEST_F(Place, WritesNothingWhenStockIsGone) {
  stock_.refusal = Error{.kind = ErrorKind::conflict, .code = "out_of_stock", .detail = ""};

  EXPECT_EQ(place().error().code, "out_of_stock");
  EXPECT_TRUE(store_.keys.empty());
  EXPECT_TRUE(store_.claims.empty());
}

TEST_F(Place, GivesStockBackOnlyAfterTheTombstone) {
  stock_.unit_price = Money{Money::wire_max, currencies::eur};

  EXPECT_EQ(place().error().code, "total_overflow");
  ASSERT_EQ(stock_.released.size(), 1U);
  EXPECT_EQ(store_.claims.at(stock_.released[0]).second, std::nullopt);
}

TEST_F(Place, KeepsTheStockOfATwinWhenItIsRefusedAfterReserving) {
  ASSERT_TRUE(place());
  store_.keys.clear();  // as if expired; the claim stays for ever
  store_.claims.clear();
  const auto reservation = reservation_for(origin_of(1), 0);
  store_.claims.emplace(reservation, std::pair{origin_of(9), order_id(1)});
  stock_.unit_price = Money{Money::wire_max, currencies::eur};

  EXPECT_EQ(place().error().code, "total_overflow");
  EXPECT_TRUE(stock_.released.empty()) << "an order holds it";
}

TEST_F(Place, TakesTheNextGenerationAfterATombstone) {
  const auto abandoned = reservation_for(origin_of(1), 0);
  store_.claims.emplace(abandoned, std::pair{origin_of(1), std::nullopt});

  ASSERT_TRUE(place());
  EXPECT_EQ(stock_.reserved, std::vector{reservation_for(origin_of(1), 1)});
}

TEST_F(Place, GivesUpWhenReservationsKeepEnding) {
  stock_.refusal = Error{.kind = ErrorKind::conflict, .code = "reservation_ended", .detail = ""};

  EXPECT_THROW(std::ignore = place(), Unavailable);
  EXPECT_EQ(stock_.reserved.size(), 2U);
}

TEST_F(Place, TakesNoOrderWhileTooMuchWaitsToBePublished) {
  publisher_.open = false;
  EXPECT_THROW(std::ignore = place(), Unavailable);
  EXPECT_TRUE(stock_.reserved.empty());
}

TEST_F(Place, ReplaysEvenWhileTooMuchWaitsToBePublished) {
  ASSERT_TRUE(place());
  publisher_.open = false;
  EXPECT_TRUE(place());
}

TEST_F(Place, LeavesTheReservationAloneWhenTheWorldFails) {
  stock_.gone = true;
  EXPECT_THROW(std::ignore = place(), Unavailable);
  EXPECT_TRUE(store_.claims.empty());
  EXPECT_TRUE(stock_.released.empty());
}

TEST_F(Look, IsForTheOwnerAndForStaff) {
  const OrderId id = placed();
  EXPECT_TRUE(run(orders_.get({}, {.user = user_id(1)}, id)));
  EXPECT_TRUE(run(orders_.get({}, {.user = user_id(2), .reads_all = true}, id)));
  EXPECT_EQ(run(orders_.get({}, {.user = user_id(2)}, id)).error().code, "order_not_found");
  EXPECT_EQ(run(orders_.get({}, {.user = user_id(2), .writes_all = true}, id)).error().code,
            "order_not_found");
  EXPECT_EQ(run(orders_.history({}, {.user = user_id(2)}, id)).error().code, "order_not_found");
  EXPECT_EQ(run(orders_.history({}, {.user = user_id(1)}, id))->size(), 1U);
  EXPECT_EQ(run(orders_.get({}, {.user = user_id(1)}, order_id(9))).error().code,
            "order_not_found");
}

TEST_F(Cancel, AsksPaymentServiceToCloseTheOrder) {
  placed();
  EXPECT_EQ(cancel(user_id(1))->body, "cancelling");
  EXPECT_EQ(store_.told.back(), (Told{"order.cancel_requested", order_id(1), 2}));
  EXPECT_EQ(store_.rows.at(order_id(1)).order.reason, "customer");
}

TEST_F(Cancel, AskedTwiceIsAskedOnce) {
  placed();
  ASSERT_TRUE(cancel(user_id(1)));
  EXPECT_EQ(cancel(user_id(1))->status, 202);
  EXPECT_EQ(store_.told.size(), 2U);
}

TEST_F(Cancel, IsForTheOwnerAndForStaff) {
  placed();
  EXPECT_EQ(cancel(user_id(2)).error().code, "order_not_found");
  ASSERT_TRUE(cancel(user_id(2), true));
  EXPECT_EQ(store_.rows.at(order_id(1)).order.reason, "staff");
}

TEST_F(Cancel, IsRefusedAfterAFailedPayment) {
  placed();
  apply({PaymentResult::declined});
  EXPECT_EQ(cancel(user_id(1)).error().code, "invalid_state");
}

TEST_F(Cancel, WithAKeyIsReplayed) {
  placed();
  const IdempotencyKey key{
      .caller = user_id(1).str(), .origin = origin_of(2), .fingerprint = "f-2"};
  EXPECT_EQ(cancel(user_id(1), false, key)->body, "cancelling");
  apply({PaymentResult::voided});
  const auto again = cancel(user_id(1), false, key);
  EXPECT_EQ(again->body, "cancelling") << "the first answer, not the state of now";
  EXPECT_TRUE(again->replayed);
}

TEST_F(Apply, PaysFailsAndCancels) {
  placed();
  EXPECT_EQ(apply({PaymentResult::captured}), std::vector{Effect::moved});
  EXPECT_EQ(status(), Status::paid);
  ASSERT_TRUE(cancel(user_id(1)));
  EXPECT_EQ(apply({PaymentResult::refunded_to_close}), std::vector{Effect::moved});
  EXPECT_EQ(status(), Status::cancelled);
  EXPECT_EQ(store_.told.back(), (Told{"order.cancelled", order_id(1), 4}));
}

TEST_F(Apply, TwoFactsAboutOneOrderInTheOrderTheyCame) {
  placed();
  EXPECT_EQ(apply({PaymentResult::captured, PaymentResult::declined}),
            (std::vector{Effect::moved, Effect::unchanged}));
  EXPECT_EQ(status(), Status::paid);
}

TEST_F(Apply, AsksForWhatWasCapturedForALostOrder) {
  placed();
  EXPECT_EQ(apply({PaymentResult::captured}, order_id(77)), std::vector{Effect::lost_order});
  EXPECT_EQ(store_.told.back(), (Told{"order.cancel_requested", order_id(77), 1}));
}

TEST_F(Apply, ChangesNothingOnceACancelCameFirst) {
  placed();
  ASSERT_TRUE(cancel(user_id(1)));
  EXPECT_EQ(apply({PaymentResult::captured}), std::vector{Effect::unchanged});
  EXPECT_EQ(status(), Status::cancelling);
}

TEST_F(Sweep, AppliesTheResultWhoseMessageWasLost) {
  placed();
  payments_.state = PaymentState::captured;
  EXPECT_EQ(sweep_overdue(), 1U);
  EXPECT_EQ(status(), Status::paid);
}

TEST_F(Sweep, TellsTheReasonOfADecline) {
  placed();
  payments_.state = PaymentState::declined;
  payments_.reason = "insufficient_funds";
  sweep_overdue();
  EXPECT_EQ(status(), Status::payment_failed);
  EXPECT_EQ(store_.rows.at(order_id(1)).order.reason, "insufficient_funds");
}

TEST_F(Sweep, CancelsWhatNobodyPays) {
  for (const auto state : {PaymentState::none, PaymentState::unknown}) {
    store_.rows.clear();
    store_.claims.clear();
    store_.keys.clear();
    next_ = 0;
    placed();
    payments_.state = state;
    sweep_overdue();
    EXPECT_EQ(status(), Status::cancelling);
    EXPECT_EQ(store_.rows.at(order_id(1)).order.reason, "expired");
  }
}

TEST_F(Sweep, AsksAgainWhenPaymentServiceDoesNotAnswer) {
  placed();
  EXPECT_THROW(sweep_overdue(), Unavailable);
  EXPECT_EQ(status(), Status::pending);

  payments_.state = PaymentState::captured;
  EXPECT_EQ(run(orders_.sweep({})), 0U) << "leased a moment ago";
  store_.clock += test_patience.lease;
  EXPECT_EQ(run(orders_.sweep({})), 1U);
  EXPECT_EQ(status(), Status::paid);
}

TEST_F(Sweep, CancelsNothingWhileTheBrokerIsAway) {
  placed();
  payments_.state = PaymentState::none;
  for (int i = 0; i < 3; ++i) {
    store_.clock += test_patience.pending;
    EXPECT_EQ(run(orders_.sweep({})), 0U);
  }
  EXPECT_EQ(status(), Status::pending);
  EXPECT_EQ(sweep_overdue(), 0U) << "published since the last look: a whole deadline again";
  EXPECT_EQ(status(), Status::pending);
  EXPECT_EQ(sweep_overdue(), 1U);
  EXPECT_EQ(status(), Status::cancelling);
}

TEST_F(Sweep, RepeatsARequestToCancelThatStaysUnanswered) {
  placed();
  ASSERT_TRUE(cancel(user_id(1)));
  store_.publish();
  store_.clock += test_patience.cancelling;
  EXPECT_EQ(run(orders_.sweep({})), 1U);
  EXPECT_EQ(store_.told.back(), (Told{"order.cancel_requested", order_id(1), 2}));
  EXPECT_EQ(store_.told.size(), 3U);
  EXPECT_EQ(status(), Status::cancelling);
}

}  // namespace
}  // namespace stoa::order
