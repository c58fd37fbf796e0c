#include "services/product-service/app/reservations.hpp"

#include <map>
#include <utility>

#include <gtest/gtest.h>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/testing/run.hpp"

#include "services/product-service/adapters/cursor.hpp"
#include "services/product-service/tests/fake_stock_store.hpp"
#include "services/product-service/tests/samples.hpp"

namespace stoa::product {
namespace {

using testing_support::run;

struct FakeOrders final : OrderReservations {
  std::map<ReservationId, ReservationFate> fates;

  Task<ReservationFate> abandon(Context, ReservationId id, Uuid) override {
    const auto fate = fates.find(id);
    if (fate == fates.end()) throw Unavailable{"order-service is away"};
    co_return fate->second;
  }
};

class ReservationsTest : public testing::Test {
 protected:
  /// The last unit of a product, reserved for an order of which order-service says `fate`.
  ReservationId reserve_one(std::optional<ReservationFate> fate) {
    const NewProduct product = new_product("Teapot", {1});
    shop_.put(*make_product(product));
    shop_.move_stock(product.variants[0].id, {.delta = 1, .kind = "initial"});
    const auto command = wanted({{product.variants[0].id, 1}});
    EXPECT_TRUE(run(reservations_.reserve({}, command)));
    if (fate) orders_.fates[command.id] = *fate;
    return command.id;
  }

  Reservations::Swept sweep() { return run(reservations_.sweep({})); }
  ReservationState state_of(ReservationId id) { return stock_.rows.at(id).state; }

  FakeShop shop_;
  FakeStockStore stock_{shop_};
  FakeOrders orders_;
  CountingCache cache_;
  Reservations reservations_{stock_, orders_, cache_};
};

TEST_F(ReservationsTest, SweepDoesWhatALostEventWouldHaveDone) {
  using enum ReservationState;
  const auto abandoned = reserve_one(ReservationFate{.abandoned = true, .order_status = ""});
  const auto paid = reserve_one(ReservationFate{.abandoned = false, .order_status = "paid"});
  const auto ended = reserve_one(ReservationFate{.abandoned = false, .order_status = "cancelled"});
  const auto pending = reserve_one(ReservationFate{.abandoned = false, .order_status = "pending"});
  EXPECT_EQ(sweep().asked, 0U) << "none is overdue";
  shop_.clock += FakeStockStore::deadline;
  cache_.forgotten.clear();

  const auto swept = sweep();

  EXPECT_EQ(swept.asked, 4U);
  EXPECT_EQ(swept.settled, 3U);
  EXPECT_EQ(state_of(abandoned), released);
  EXPECT_EQ(state_of(paid), committed);
  EXPECT_EQ(state_of(ended), released);
  EXPECT_EQ(state_of(pending), active) << "its order may yet be paid";
  EXPECT_EQ(cache_.forgotten.size(), 2U) << "two units came back";
}

TEST_F(ReservationsTest, GivesNothingBackWithoutAnAnswer) {
  const auto id = reserve_one(std::nullopt);
  shop_.clock += FakeStockStore::deadline;

  EXPECT_THROW(sweep(), Unavailable);
  EXPECT_EQ(state_of(id), ReservationState::active);
}

TEST_F(ReservationsTest, ReleasesOnceAndTellsReaders) {
  const auto id = reserve_one(std::nullopt);
  EXPECT_EQ(cache_.forgotten.size(), 1U) << "the last unit went";
  run(reservations_.release({}, id));
  run(reservations_.release({}, id));
  EXPECT_EQ(state_of(id), ReservationState::released);
  EXPECT_EQ(cache_.forgotten.size(), 2U);
}

TEST_F(ReservationsTest, KnowsWhichReservationsOfABatchThereAre) {
  const auto id = reserve_one(std::nullopt);
  const auto known = run(reservations_.settle(
      {}, {{.event_id = crypto::new_uuid(), .reservation = id, .outcome = OrderOutcome::paid},
           {.event_id = crypto::new_uuid(),
            .reservation = new_id<ReservationId>(),
            .outcome = OrderOutcome::paid}}));
  EXPECT_EQ(known, (std::vector{true, false}));
  EXPECT_EQ(state_of(id), ReservationState::committed);
}

TEST_F(ReservationsTest, ReservesNothingForLinesThatBreakARule) {
  const auto refused = run(reservations_.reserve({}, wanted({{VariantId{}, 0}})));

  EXPECT_EQ(refused.error().code, "invalid_reservation");
}

TEST(Cursor, IsGoodForItsOwnListAndKeyOnly) {
  const Cursors cursors{Secret<>{"0123456789abcdef"}};
  const PageEnd end{.key = "1299", .id = {}};
  const std::string cursor = cursors.sign("price EUR", end);

  ASSERT_TRUE(cursors.verify("price EUR", cursor));
  EXPECT_EQ(cursors.verify("price EUR", cursor)->key, "1299");
  EXPECT_EQ(cursors.verify("price USD", cursor).error().code, "bad_cursor");
  EXPECT_EQ(Cursors{Secret<>{"fedcba9876543210"}}.verify("price EUR", cursor).error().code,
            "bad_cursor");
  EXPECT_FALSE(cursors.verify("price EUR", cursor.substr(1)));
  EXPECT_FALSE(cursors.verify("price EUR", ""));
}

TEST(Cursor, TakesThePlaceOfTheOneBefore) {
  EXPECT_EQ(next_target("/p", "limit=2&cursor=old&q=a", "new"), "/p?limit=2&q=a&cursor=new");
  EXPECT_EQ(next_target("/p", "", "new"), "/p?cursor=new");
}

}  // namespace
}  // namespace stoa::product
