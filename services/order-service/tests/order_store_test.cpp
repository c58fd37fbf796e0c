#include <memory>

#include <gtest/gtest.h>

#include "servicekit/testing/run.hpp"

#include "services/order-service/tests/stores.hpp"

namespace stoa::order {
namespace {

using testing_support::run_on;

enum class Kind : std::uint8_t { fake, postgres };

class OrderStoreTest : public testing::TestWithParam<Kind> {
 protected:
  OrderStoreTest() {
    if (GetParam() == Kind::postgres) {
      auto stores = std::make_unique<PostgresStores>(loops_);
      postgres_ = stores.get();
      stores_ = std::move(stores);
    } else {
      stores_ = std::make_unique<FakeStores>();
    }
  }

  template <class T>
  T run(Task<T> task) {
    return run_on(loops_, std::move(task));
  }
  OrderStore& store() { return stores_->store(); }

  static IdempotencyKey key(std::uint8_t number = 1, char fingerprint = 'a') {
    return {.caller = user_id(1).str(),
            .origin = origin_of(number),
            .fingerprint = std::string(64, fingerprint)};
  }

  static Order order(std::uint8_t number, UserId customer = user_id(1)) {
    auto placed = order::place({.id = order_id(number),
                                .number = {1'000 + number},
                                .customer = customer,
                                .reservation = reservation_for(origin_of(number), 0),
                                .lines = {{.variant = variant_id(7),
                                           .sku = "SKU-7",
                                           .name = "Tea \"pot\"",
                                           .quantity = 2,
                                           .unit_price = Money{1'299, currencies::eur}}},
                                .currency = currencies::eur,
                                .shipping_address = some_address(),
                                .shipping_method = "standard",
                                .now = noon});
    return std::move(*placed);
  }

  static Answer answer() {
    return {.status = 201, .headers = "location: /x\r\n", .body = R"({"é": 1})"};
  }

  bool insert(std::uint8_t number, UserId customer = user_id(1)) {
    return run(store().insert_if_first({}, {.order = order(number, customer),
                                            .key = key(number),
                                            .answer = answer(),
                                            .payment_token = "tok_ok"}));
  }

  bool cancel(std::uint8_t number, std::optional<IdempotencyKey> with_key = {}) {
    const auto found = run(store().find({}, order_id(number)));
    auto cancelling = order::cancel(*found, CancelReason::customer, noon);
    return run(store().store_cancelling({}, std::move(*cancelling), CancelReason::customer,
                                        std::move(with_key), {.status = 202, .body = "{}"}));
  }

  static PaymentFact fact(std::uint8_t event, std::uint8_t number, PaymentResult result,
                          std::optional<std::string> reason = {}) {
    return {.event = uuid(event, 9),
            .order = order_id(number),
            .customer = user_id(1),
            .result = result,
            .reason = std::move(reason),
            .traceparent = ""};
  }
  std::vector<Effect> apply(std::vector<PaymentFact> facts) {
    return run(store().apply({}, std::move(facts)));
  }

  Order found(std::uint8_t number) { return *run(store().find({}, order_id(number))); }
  std::vector<Overdue> overdue(std::size_t limit = 10) {
    return run(store().claim_overdue({}, limit));
  }

  Loops loops_{1};
  std::unique_ptr<Stores> stores_;
  PostgresStores* postgres_ = nullptr;
};

TEST_P(OrderStoreTest, KeepsAnOrderAsItWasPlaced) {
  ASSERT_TRUE(insert(1));
  const Order stored = found(1);
  const Order placed = order(1);
  EXPECT_EQ(stored.number, placed.number);
  EXPECT_EQ(stored.customer, placed.customer);
  EXPECT_EQ(stored.reservation, placed.reservation);
  ASSERT_EQ(stored.lines.size(), 1U);
  EXPECT_EQ(stored.lines[0].variant, variant_id(7));
  EXPECT_EQ(stored.lines[0].name, "Tea \"pot\"");
  EXPECT_EQ(stored.lines[0].quantity, 2U);
  EXPECT_EQ(stored.lines[0].unit_price, (Money{1'299, currencies::eur}));
  EXPECT_EQ(stored.amounts.total, (Money{2'598, currencies::eur}));
  EXPECT_EQ(stored.shipping_address, some_address());
  EXPECT_EQ(stored.status, Status::pending);
  EXPECT_EQ(stored.version, 1);
  EXPECT_EQ(stored.created_at, noon);
  EXPECT_EQ(run(store().find({}, order_id(2))), std::nullopt);
  EXPECT_EQ(stores_->told(), (std::vector<Told>{{"order.placed", order_id(1), 1}}));
}

TEST_P(OrderStoreTest, AnswersAKeyByteForByte) {
  const auto before = run(store().look_up({}, key()));
  ASSERT_TRUE(before);
  EXPECT_EQ(before->answered.has_value(), false);
  EXPECT_EQ(before->generation, 0U);
  EXPECT_GT(before->number.value, 100'000);

  ASSERT_TRUE(insert(1));
  const auto after = run(store().look_up({}, key()));
  ASSERT_TRUE(after && after->answered);
  EXPECT_EQ(after->answered->status, 201);
  EXPECT_EQ(after->answered->headers, answer().headers);
  EXPECT_EQ(after->answered->body, answer().body);
  EXPECT_TRUE(after->answered->replayed);
  EXPECT_EQ(run(store().first_answer({}, key()))->value().body, answer().body);
  EXPECT_EQ(run(store().first_answer({}, key(9)))->has_value(), false);
}

TEST_P(OrderStoreTest, RefusesAKeyThatCameWithAnotherRequest) {
  ASSERT_TRUE(insert(1));
  EXPECT_EQ(run(store().look_up({}, key(1, 'b'))).error().code, "idempotency_key_reused");
  EXPECT_EQ(run(store().first_answer({}, key(1, 'b'))).error().code, "idempotency_key_reused");
}

TEST_P(OrderStoreTest, StoresOneOrderForAReservation) {
  ASSERT_TRUE(insert(1));
  EXPECT_FALSE(insert(1));
  EXPECT_EQ(stores_->told().size(), 1U);
}

TEST_P(OrderStoreTest, StoresNoOrderOnATombstone) {
  EXPECT_FALSE(run(store().abandon({}, reservation_for(origin_of(1), 0), origin_of(1))).holder);
  EXPECT_FALSE(insert(1));
  EXPECT_TRUE(stores_->told().empty());
  const auto state = run(store().look_up({}, key()));
  EXPECT_EQ(state->generation, 1U);
  EXPECT_FALSE(state->answered) << "a tombstone takes no key";
}

TEST_P(OrderStoreTest, NamesTheOrderThatHoldsAReservation) {
  ASSERT_TRUE(insert(1));
  const auto held = run(store().abandon({}, reservation_for(origin_of(1), 0), origin_of(1)));
  ASSERT_TRUE(held.holder);
  EXPECT_EQ(held.holder->id, order_id(1));
  EXPECT_EQ(held.holder->status, Status::pending);
  apply({fact(1, 1, PaymentResult::captured)});
  EXPECT_EQ(run(store().abandon({}, reservation_for(origin_of(1), 0), origin_of(1))).holder->status,
            Status::paid);
}

TEST_P(OrderStoreTest, AbandonsTwiceAsOnce) {
  const auto id = reservation_for(origin_of(1), 0);
  EXPECT_FALSE(run(store().abandon({}, id, origin_of(1))).holder);
  EXPECT_FALSE(run(store().abandon({}, id, origin_of(1))).holder);
  EXPECT_EQ(run(store().look_up({}, key()))->generation, 1U);
}

TEST_P(OrderStoreTest, TakesAnExpiredKeyAgain) {
  ASSERT_TRUE(insert(1));
  stores_->forget_keys();
  const auto state = run(store().look_up({}, key(1, 'b')));
  ASSERT_TRUE(state);
  EXPECT_FALSE(state->answered);
  EXPECT_EQ(state->generation, 1U);
  Order next = order(2);
  next.reservation = reservation_for(origin_of(1), 1);
  EXPECT_TRUE(run(store().insert_if_first(
      {}, {.order = next, .key = key(1, 'b'), .answer = answer(), .payment_token = "tok_ok"})));
  EXPECT_TRUE(run(store().look_up({}, key(1, 'b')))->answered);
}

TEST_P(OrderStoreTest, AppliesAPaymentOnce) {
  ASSERT_TRUE(insert(1));
  EXPECT_EQ(apply({fact(1, 1, PaymentResult::captured)}), std::vector{Effect::moved});
  EXPECT_EQ(apply({fact(1, 1, PaymentResult::captured)}), std::vector{Effect::unchanged});
  EXPECT_EQ(apply({fact(2, 1, PaymentResult::declined, "late")}), std::vector{Effect::unchanged});
  EXPECT_EQ(found(1).status, Status::paid);
  EXPECT_EQ(found(1).version, 2);
  EXPECT_EQ(found(1).reason, std::nullopt);
  EXPECT_EQ(stores_->told(),
            (std::vector<Told>{{"order.placed", order_id(1), 1}, {"order.paid", order_id(1), 2}}));
}

TEST_P(OrderStoreTest, AppliesABatchOfManyOrders) {
  for (std::uint8_t i = 1; i <= 4; ++i) ASSERT_TRUE(insert(i));
  ASSERT_TRUE(cancel(3));
  EXPECT_EQ(apply({fact(1, 4, PaymentResult::captured),
                   fact(2, 2, PaymentResult::declined, "insufficient_funds"),
                   fact(3, 9, PaymentResult::captured), fact(4, 3, PaymentResult::voided)}),
            (std::vector{Effect::moved, Effect::moved, Effect::lost_order, Effect::moved}));
  EXPECT_EQ(found(1).status, Status::pending);
  EXPECT_EQ(found(2).status, Status::payment_failed);
  EXPECT_EQ(found(2).reason, "insufficient_funds");
  EXPECT_EQ(found(3).status, Status::cancelled);
  EXPECT_EQ(found(3).reason, "customer") << "why it was asked for, not how it ended";
  EXPECT_EQ(found(4).status, Status::paid);
}

// Its row is older than its first event, so it is not late: the database was set back.
TEST_P(OrderStoreTest, AsksBackOnceWhatWasCapturedForALostOrder) {
  EXPECT_EQ(apply({fact(1, 1, PaymentResult::captured)}), std::vector{Effect::lost_order});
  EXPECT_EQ(apply({fact(1, 1, PaymentResult::captured)}), std::vector{Effect::lost_order});
  EXPECT_EQ(stores_->told(), (std::vector<Told>{{"order.cancel_requested", order_id(1), 1}}));
}

TEST_P(OrderStoreTest, TellsNothingOfALostOrderThatKeepsNoMoney) {
  EXPECT_EQ(apply({fact(1, 1, PaymentResult::declined), fact(2, 2, PaymentResult::voided),
                   fact(3, 3, PaymentResult::refunded_to_close)}),
            (std::vector{Effect::lost_order, Effect::lost_order, Effect::lost_order}));
  EXPECT_TRUE(stores_->told().empty());
}

TEST_P(OrderStoreTest, StoresACancelOnlyOnTheVersionItWasMadeFrom) {
  ASSERT_TRUE(insert(1));
  const auto cancelling = order::cancel(found(1), CancelReason::customer, noon);
  apply({fact(1, 1, PaymentResult::captured)});
  EXPECT_FALSE(run(
      store().store_cancelling({}, *cancelling, CancelReason::customer, std::nullopt, answer())));
  EXPECT_EQ(found(1).status, Status::paid);
  EXPECT_TRUE(cancel(1));
  EXPECT_EQ(found(1).status, Status::cancelling);
  EXPECT_EQ(stores_->told().back(), (Told{"order.cancel_requested", order_id(1), 3}));
}

TEST_P(OrderStoreTest, KeepsTheAnswerToACancelWithItsKey) {
  ASSERT_TRUE(insert(1));
  ASSERT_TRUE(cancel(1, key(7)));
  EXPECT_EQ(run(store().first_answer({}, key(7)))->value().status, 202);
}

TEST_P(OrderStoreTest, RemembersEachStateOfAnOrder) {
  ASSERT_TRUE(insert(1));
  apply({fact(1, 1, PaymentResult::captured)});
  ASSERT_TRUE(cancel(1));
  apply({fact(2, 1, PaymentResult::refunded_to_close)});
  std::vector<std::string> types;
  for (const auto& entry : run(store().history({}, order_id(1)))) {
    EXPECT_EQ(entry.version, std::ssize(types) + 1);
    types.push_back(entry.type);
  }
  EXPECT_EQ(types, (std::vector<std::string>{"order.placed", "order.paid", "order.cancel_requested",
                                             "order.cancelled"}));
}

TEST_P(OrderStoreTest, ListsInPages) {
  for (std::uint8_t i = 1; i <= 5; ++i) ASSERT_TRUE(insert(i, user_id(i == 3 ? 2 : 1)));
  apply({fact(1, 4, PaymentResult::captured)});
  const auto numbers = [&](ListOrders query) {
    std::string text;
    const auto page = run(store().list({}, std::move(query)));
    for (const Order& one : page.orders) text += std::to_string(one.number.value - 1'000) + " ";
    return text + (page.has_more ? "more" : "end");
  };
  EXPECT_EQ(numbers({.customer = user_id(1), .limit = 3}), "5 4 2 more");
  EXPECT_EQ(numbers({.customer = user_id(1), .after = order_id(2), .limit = 3}), "1 end");
  EXPECT_EQ(numbers({.customer = user_id(1), .oldest_first = true, .limit = 2}), "1 2 more");
  EXPECT_EQ(
      numbers({.customer = user_id(1), .oldest_first = true, .after = order_id(2), .limit = 2}),
      "4 5 end");
  EXPECT_EQ(numbers({.customer = user_id(1), .statuses = {Status::paid}}), "4 end");
  EXPECT_EQ(numbers({.limit = 5}), "5 4 3 2 1 end");
  EXPECT_EQ(numbers({.statuses = {Status::pending}, .limit = 2}), "5 3 more");
  EXPECT_EQ(numbers({.statuses = {Status::pending, Status::paid}, .oldest_first = true}),
            "1 2 3 4 5 end");
  EXPECT_EQ(numbers({.customer = user_id(2), .statuses = {Status::cancelled}}), "end");
}

TEST_P(OrderStoreTest, CountsWhatAllPagesHoldWhenAsked) {
  for (std::uint8_t i = 1; i <= 5; ++i) ASSERT_TRUE(insert(i, user_id(i == 3 ? 2 : 1)));
  apply({fact(1, 4, PaymentResult::captured)});
  const auto total = [&](ListOrders query) {
    query.limit = 1;
    query.with_total = true;
    const auto first = run(store().list({}, query)).total;
    query.after = order_id(2);
    EXPECT_EQ(run(store().list({}, query)).total, first) << "the same on every page";
    return first;
  };
  EXPECT_EQ(total({.customer = user_id(1), .statuses = {Status::paid}}), ListTotal{1});
  EXPECT_EQ(total({.customer = user_id(2), .statuses = {Status::cancelled}}), ListTotal{0});
  EXPECT_EQ(total({.oldest_first = true}), ListTotal{5});
  EXPECT_EQ(total({.statuses = {Status::pending, Status::paid}}), ListTotal{5});
  EXPECT_EQ(run(store().list({}, {})).total, std::nullopt) << "nobody asked";
}

TEST_P(OrderStoreTest, FindsWhatWaitsTooLong) {
  ASSERT_TRUE(insert(1));
  ASSERT_TRUE(insert(2));
  stores_->publish();
  EXPECT_TRUE(overdue().empty());
  stores_->pass(test_patience.pending);
  const auto late = overdue();
  ASSERT_EQ(late.size(), 2U);
  EXPECT_EQ(late[0].customer, user_id(1));
  EXPECT_EQ(late[0].status, Status::pending);
  EXPECT_EQ(late[0].version, 1);
  EXPECT_TRUE(overdue().empty()) << "leased a moment ago";
  stores_->pass(test_patience.lease);
  EXPECT_EQ(overdue().size(), 2U);
}

TEST_P(OrderStoreTest, SweepsInBatches) {
  for (std::uint8_t i = 1; i <= 3; ++i) ASSERT_TRUE(insert(i));
  stores_->publish();
  stores_->pass(test_patience.pending);
  EXPECT_EQ(overdue(2).size(), 2U);
  EXPECT_EQ(overdue(2).size(), 1U);
}

TEST_P(OrderStoreTest, CallsNobodyLateWhoseEventHasNotLeft) {
  ASSERT_TRUE(insert(1));
  stores_->pass(test_patience.pending);
  EXPECT_TRUE(overdue().empty());
  stores_->publish();
  stores_->pass(test_patience.lease);
  EXPECT_TRUE(overdue().empty()) << "a whole deadline, not the lease";
  stores_->pass(test_patience.pending);
  EXPECT_TRUE(overdue().empty()) << "it left a moment ago";
  stores_->pass(test_patience.pending);
  EXPECT_EQ(overdue().size(), 1U);
}

TEST_P(OrderStoreTest, CallsNobodyLateWhileTheRelayIsBehind) {
  ASSERT_TRUE(insert(1));
  stores_->publish();
  ASSERT_TRUE(insert(2));
  stores_->pass(test_patience.pending);
  EXPECT_TRUE(overdue().empty()) << "the broker may hold the event of the first";
  EXPECT_EQ(found(1).status, Status::pending);
}

TEST_P(OrderStoreTest, RepeatsARequestToCancel) {
  ASSERT_TRUE(insert(1));
  ASSERT_TRUE(cancel(1));
  stores_->publish();
  stores_->pass(test_patience.cancelling);
  const auto late = overdue();
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(late[0].status, Status::cancelling);
  EXPECT_EQ(late[0].reason, "customer");
  run(store().repeat_cancel_request({}, late[0]));
  EXPECT_EQ(stores_->told().size(), 3U);
  EXPECT_EQ(stores_->told().back(), (Told{"order.cancel_requested", order_id(1), 2}));

  apply({fact(1, 1, PaymentResult::voided)});
  run(store().repeat_cancel_request({}, late[0]));
  EXPECT_EQ(stores_->told().size(), 4U) << "cancelled meanwhile: nothing is asked again";
}

TEST_P(OrderStoreTest, ForgetsTheDeadlineOfASettledOrder) {
  ASSERT_TRUE(insert(1));
  apply({fact(1, 1, PaymentResult::captured)});
  stores_->publish();
  stores_->pass(10 * test_patience.pending);
  EXPECT_TRUE(overdue().empty());
}

INSTANTIATE_TEST_SUITE_P(Stores, OrderStoreTest, testing::Values(Kind::fake, Kind::postgres),
                         [](const auto& kind) {
                           return kind.param == Kind::fake ? "Fake" : "Postgres";
                         });

}  // namespace
}  // namespace stoa::order
