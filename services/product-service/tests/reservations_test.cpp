#include "services/product-service/app/reservations.hpp"

#include <map>
#include <utility>

#include <gtest/gtest.h>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/testing/run.hpp"

#include "services/product-service/adapters/cursor.hpp"
#include "services/product-service/tests/samples.hpp"

namespace stoa::product {
namespace {

/// Only what a sweep needs of the store; stock_store_test proves the real one.
struct FakeStock final : StockStore {
  std::vector<OverdueReservation> overdue;
  std::map<ReservationId, Settlement> settled;

  Task<StaleProducts> settle(Context, ReservationId id, Settlement settlement) override {
    settled[id] = settlement;
    co_return StaleProducts{ProductId{}};
  }
  Task<std::vector<OverdueReservation>> claim_overdue(Context) override { co_return overdue; }

  Task<Result<Reserved>> reserve(Context, ReserveStock) override { co_return Reserved{}; }
  Task<SettledBatch> settle_orders(Context, std::vector<SettledOrder>) override {
    co_return SettledBatch{};
  }
  Task<std::optional<StockLevel>> level(Context, VariantId) override { co_return std::nullopt; }
  Task<Result<Adjusted>> adjust(Context, AdjustStock) override { co_return Adjusted{}; }
  Task<Result<MovementPage>> movements(Context, VariantId, std::optional<std::int64_t>,
                                       std::int64_t) override {
    co_return MovementPage{};
  }
};

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
  ReservationId overdue(std::optional<ReservationFate> fate) {
    ReservationId id{};
    id.uuid.bytes[15] = static_cast<std::uint8_t>(stock_.overdue.size() + 1);
    stock_.overdue.push_back({.id = id, .origin = id.uuid});
    if (fate) orders_.fates[id] = *fate;
    return id;
  }

  Reservations::Swept sweep() { return testing_support::run(reservations_.sweep({})); }

  FakeStock stock_;
  FakeOrders orders_;
  CountingCache cache_;
  Reservations reservations_{stock_, orders_, cache_};
};

TEST_F(ReservationsTest, SweepDoesWhatALostEventWouldHaveDone) {
  const auto abandoned = overdue(ReservationFate{.abandoned = true, .order_status = ""});
  const auto paid = overdue(ReservationFate{.abandoned = false, .order_status = "paid"});
  const auto cancelled = overdue(ReservationFate{.abandoned = false, .order_status = "cancelled"});
  const auto pending = overdue(ReservationFate{.abandoned = false, .order_status = "pending"});

  const auto swept = sweep();

  EXPECT_EQ(swept.asked, 4U);
  EXPECT_EQ(swept.settled, 3U);
  EXPECT_EQ(stock_.settled.at(abandoned), Settlement::release);
  EXPECT_EQ(stock_.settled.at(paid), Settlement::commit);
  EXPECT_EQ(stock_.settled.at(cancelled), Settlement::end);
  EXPECT_FALSE(stock_.settled.contains(pending)) << "its order may yet be paid";
  EXPECT_EQ(cache_.forgotten.size(), 3U);
}

TEST_F(ReservationsTest, GivesNothingBackWithoutAnAnswer) {
  overdue(std::nullopt);

  EXPECT_THROW(sweep(), Unavailable);
  EXPECT_TRUE(stock_.settled.empty());
}

TEST_F(ReservationsTest, ReservesNothingForLinesThatBreakARule) {
  const auto refused = testing_support::run(reservations_.reserve(
      {},
      {.id = {}, .currency = *Currency::parse("EUR"), .lines = {{.variant = {}, .quantity = 0}}}));

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
