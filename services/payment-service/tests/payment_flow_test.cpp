#include "services/payment-service/tests/payment_flow.hpp"

#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/async/if_available.hpp"

namespace stoa::payment {
namespace {

using namespace std::chrono_literals;

using messaging::Event;

struct TokenCase {
  std::string token;
  std::string state;
  std::string reason;
};

class EveryToken : public PaymentFlowTest, public testing::WithParamInterface<TokenCase> {};

TEST_P(EveryToken, EndsOnceAndTheBooksAgree) {
  const OrderId order = new_order();
  placed({order_placed(order, GetParam().token)});
  ASSERT_TRUE(reaches(order, GetParam().state));
  EXPECT_EQ(sql("SELECT decline_reason FROM payments"), GetParam().reason);
  EXPECT_EQ(captures_at_provider(), GetParam().state == "captured" ? 1 : 0);
  EXPECT_EQ(count("outbox"), 1);
  expect_books_agree();
}

INSTANTIATE_TEST_SUITE_P(
    Tokens, EveryToken,
    testing::Values(TokenCase{"tok_ok", "captured", ""},
                    TokenCase{"tok_declined", "declined", "card_declined"},
                    TokenCase{"tok_insufficient_funds", "declined", "insufficient_funds"},
                    TokenCase{"tok_timeout_after_capture", "captured", ""},
                    TokenCase{"tok_slow", "captured", ""},
                    TokenCase{"tok_error_then_ok", "captured", ""},
                    TokenCase{"tok_3ds", "declined", "authentication_required"},
                    TokenCase{"tok_refund_fails_once", "captured", ""},
                    TokenCase{"tok_refund_refused", "captured", ""},
                    TokenCase{"tok_refund_timeout", "captured", ""},
                    TokenCase{"tok_webhook_duplicate", "captured", ""},
                    TokenCase{"tok_webhook_late", "captured", ""},
                    TokenCase{"tok_webhook_reordered", "captured", ""},
                    TokenCase{"tok_nobody_knows", "declined", "invalid_token"}),
    [](const auto& each) { return each.param.token; });

class CancelledToken : public PaymentFlowTest, public testing::WithParamInterface<std::string> {};

TEST_P(CancelledToken, OfACancelledOrderIsGivenBackOnce) {
  const OrderId order = new_order();
  placed({order_placed(order, GetParam())});
  ASSERT_TRUE(reaches(order, "captured"));
  cancel(order);
  ASSERT_TRUE(reaches(order, "refunded"));
  EXPECT_EQ(cash(), 0);
  EXPECT_EQ(count("outbox WHERE type = 'payment.refunded' AND (data->>'closes_order')::boolean"),
            1);
  EXPECT_EQ(count("refunds WHERE status = 'succeeded'"), 1);
  expect_books_agree();
}

INSTANTIATE_TEST_SUITE_P(Tokens, CancelledToken,
                         testing::Values("tok_ok", "tok_refund_fails_once", "tok_refund_timeout",
                                         "tok_timeout_after_capture"),
                         [](const auto& each) { return each.param; });

TEST_F(PaymentFlowTest, ARefusedClosingRefundGoesOnUntilAnOperatorSettlesIt) {
  const OrderId order = new_order();
  placed({order_placed(order, "tok_refund_refused")});
  ASSERT_TRUE(reaches(order, "captured"));
  cancel(order);
  const auto until = std::chrono::steady_clock::now() + patience;
  while (count("refunds WHERE status = 'failed'") < 2) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
    run(if_available(replica_.refunds.sweep(soon())));
    run(sleep_for(20ms));
  }
  EXPECT_EQ(count("payments WHERE closing_failures > 0"), 1);

  const auto id = Uuid::parse(sql("SELECT id FROM refunds WHERE status IN ('pending', 'unknown')"));
  ASSERT_TRUE(id);
  const auto standing = run(replica_.refunds.settle_by_hand(soon(), RefundId{*id}, "transfer 7"));
  ASSERT_TRUE(standing);
  EXPECT_EQ(state_for_order(*run(replica_.store.payment_of_order(soon(), order))), "refunded");
  EXPECT_EQ(cash(), 1'299);
  expect_books_agree();
}

TEST_F(PaymentFlowTest, CancelledBeforeItWasPlacedIsNeverCharged) {
  const OrderId order = new_order();
  cancel(order);
  placed({order_placed(order, "tok_ok")});
  ASSERT_TRUE(reaches(order, "voided"));
  run(sleep_for(100ms));
  EXPECT_EQ(captures_at_provider(), 0);
  EXPECT_EQ(count("attempts"), 0);
}

TEST_F(PaymentFlowTest, CancelledWhileTheProviderIsSilentIsRefunded) {
  const OrderId order = new_order();
  placed({order_placed(order, "tok_timeout_after_capture")});
  cancel(order);
  ASSERT_TRUE(reaches(order, "refunded"));
  EXPECT_EQ(cash(), 0);
  expect_books_agree();
}

TEST_F(PaymentFlowTest, CancelledWhileTheProviderIsAwayIsVoided) {
  simulator_.kill();
  const OrderId order = new_order();
  placed({order_placed(order, "tok_ok")});
  ASSERT_TRUE(reaches(order, "unknown"));
  run(sleep_for(400ms));
  cancel(order);
  simulator_.start();
  ASSERT_TRUE(reaches(order, "voided"));
  EXPECT_EQ(captures_at_provider(), 0);
  EXPECT_EQ(count("outbox WHERE type = 'payment.voided'"), 1);
  expect_books_agree();
}

TEST_F(PaymentFlowTest, TheProviderKilledAmongManyChargesLosesAndDoublesNone) {
  constexpr int order_count = 200;
  std::vector<OrderId> orders;
  std::vector<Event> events;
  for (int i = 0; i < order_count; ++i) {
    orders.push_back(new_order());
    events.push_back(order_placed(orders.back(), "tok_ok"));
  }
  placed(events);
  run(sleep_for(10ms));
  simulator_.kill();
  run(sleep_for(100ms));
  simulator_.start();
  for (const OrderId& order : orders) ASSERT_TRUE(reaches(order, "captured"));
  EXPECT_EQ(captures_at_provider(), order_count);
  EXPECT_EQ(cash(), order_count * 1'299);
  expect_books_agree();
}

TEST_F(PaymentFlowTest, TheProviderFrozenForAWhileLosesNothing) {
  simulator_.freeze();
  const OrderId order = new_order();
  placed({order_placed(order, "tok_ok")});
  run(sleep_for(600ms));
  EXPECT_EQ(count("attempts WHERE status = 'unknown'"), 1);
  simulator_.thaw();
  ASSERT_TRUE(reaches(order, "captured"));
  EXPECT_EQ(captures_at_provider(), 1);
  expect_books_agree();
}

TEST_F(PaymentFlowTest, RepeatedAndReorderedMessagesChangeNothing) {
  const OrderId order = new_order();
  const Event first = order_placed(order, "tok_ok");
  const Event twin = order_placed(order, "tok_ok");
  placed({first, twin, first});
  ASSERT_TRUE(reaches(order, "captured"));
  const Event cancelling = cancel_requested(order);
  run(replica_.events.cancel_requested(soon(), {cancelling, cancelling}));
  placed({twin, first});
  ASSERT_TRUE(reaches(order, "refunded"));
  run(replica_.events.cancel_requested(soon(), {cancelling}));
  EXPECT_EQ(captures_at_provider(), 1);
  EXPECT_EQ(count("refunds"), 1);
  expect_books_agree();
}

TEST_F(PaymentFlowTest, WhatCannotBeReadIsRefusedAndTheRestIsDone) {
  const OrderId order = new_order();
  Event broken = order_placed(order, "tok_ok");
  broken.data = R"({"order_id":"ord_1"})";
  Event later = order_placed(order, "tok_ok");
  later.version = 2;
  const auto verdicts =
      run(replica_.events.placed(soon(), {broken, later, order_placed(order, "tok_ok")}));
  using Kind = messaging::Verdict::Kind;
  EXPECT_EQ(verdicts.at(0).kind, Kind::refuse);
  EXPECT_EQ(verdicts.at(1).reason, "unknown version 2");
  EXPECT_EQ(verdicts.at(2).kind, Kind::done);
  EXPECT_TRUE(reaches(order, "captured"));
}

TEST_F(PaymentFlowTest, TwoReplicasChargeEachOrderOnce) {
  Replica second{loops_, dsn_, simulator_.address(), telemetry_};
  run(sleep_for(100ms));
  std::vector<OrderId> orders;
  for (int i = 0; i < 50; ++i) {
    orders.push_back(new_order());
    const Event event = order_placed(orders.back(), "tok_error_then_ok");
    run(replica_.events.placed(soon(), {event}));
    run(second.events.placed(soon(), {event}));
    run(if_available(second.charges.sweep(soon())));
  }
  for (const OrderId& order : orders) ASSERT_TRUE(reaches(order, "captured"));
  EXPECT_EQ(captures_at_provider(), 50);
  EXPECT_EQ(count("outbox WHERE type = 'payment.captured'"), 50);
  expect_books_agree();
  run(second.charges.stop(2s));
}

}  // namespace
}  // namespace stoa::payment
