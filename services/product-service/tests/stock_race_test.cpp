#include <map>
#include <random>
#include <set>

#include "services/product-service/tests/fixture.hpp"

// What many do at once to the same stock: PostgreSQL's part of the promise.
namespace stoa::product {
namespace {

class StockRaceTest : public StoreTest {
 protected:
  static SettledOrder event(ReservationId id, OrderOutcome outcome) {
    return {.event_id = crypto::new_uuid(), .reservation = id, .outcome = outcome};
  }

  static Task<bool> reserves(PgStockStore* stock, ReserveStock command) {
    const auto reserved = co_await stock->reserve({}, std::move(command));
    co_return reserved.has_value();
  }
  static Task<bool> releases(PgStockStore* stock, ReservationId id) {
    co_await stock->settle({}, id, Settlement::release);
    co_return true;
  }
  static Task<bool> settles(PgStockStore* stock, std::vector<SettledOrder> orders) {
    co_await stock->settle_orders({}, std::move(orders));
    co_return true;
  }
};

TEST_F(StockRaceTest, LetsABuyerHoldTenOfFifteenAtOnce) {
  const Product product = store(new_product("Teapot", {100}));
  const VariantId variant = product.variants[0].id;
  const auto buyer = new_id<UserId>();
  std::vector<ReserveStock> commands;
  std::vector<Task<Result<Reserved>>> tasks;
  for (int i = 0; i < 15; ++i) {
    commands.push_back(wanted({{variant, 1}}, buyer));
    tasks.push_back(stock_.reserve({}, commands.back()));
  }
  const auto results = together(std::move(tasks));
  const auto made =
      std::ranges::count_if(results, [](const auto& r) { return r && r->has_value(); });

  EXPECT_EQ(made, open_reservations_max) << "fifteen at once";
  EXPECT_EQ(reserved(variant), open_reservations_max);
  const auto refused = std::ranges::find_if(results, [](const auto& r) { return r && !*r; });
  EXPECT_EQ((*refused)->error().code, "too_many_open_orders");
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!*results[i]) continue;
    EXPECT_TRUE(reserve(commands[i])) << "a repeat does not count twice";
  }
  EXPECT_TRUE(reserve(wanted({{variant, 1}}))) << "another buyer";
}

TEST_F(StockRaceTest, SellsTheLastUnitOnce) {
  const Product product = store(new_product("Teapot", {1}));
  const VariantId variant = product.variants[0].id;
  std::vector<Task<Result<Reserved>>> tasks;
  for (int i = 0; i < 50; ++i) tasks.push_back(stock_.reserve({}, wanted({{variant, 1}})));

  const auto results = together(std::move(tasks));

  EXPECT_EQ(std::ranges::count_if(results, [](const auto& r) { return r && r->has_value(); }), 1);
  for (const auto& result : results) {
    ASSERT_TRUE(result) << "nobody was left without an answer";
    if (*result) continue;
    EXPECT_EQ(result->error().code, "out_of_stock");
  }
  EXPECT_EQ(reserved(variant), 1);
  EXPECT_EQ(broken_stock(), "0");
}

TEST_F(StockRaceTest, ReservesOnceForTwinsOfOneRequest) {
  const Product product = store(new_product("Teapot", {1}));
  const auto command = wanted({{product.variants[0].id, 1}});
  std::vector<Task<Result<Reserved>>> tasks;
  for (int i = 0; i < 20; ++i) tasks.push_back(stock_.reserve({}, command));

  for (const auto& result : together(std::move(tasks))) {
    ASSERT_TRUE(result && result->has_value()) << "each twin gets the one reservation";
  }
  EXPECT_EQ(reserved(product.variants[0].id), 1);
}

// Whoever comes second finds it settled. Another's reservation of the same stock hides a second
// effect from the constraints, not from the books.
TEST_F(StockRaceTest, SettlesAReservationOnce) {
  const VariantId variant = store(new_product("Teapot", {1'000})).variants[0].id;
  ASSERT_TRUE(reserve(wanted({{variant, 500}})));
  for (int round = 0; round < 30; ++round) {
    const auto command = wanted({{variant, 1}});
    const bool there = round % 2 == 0;  // else it is being made meanwhile
    std::vector<Task<bool>> tasks;
    if (there) {
      ASSERT_TRUE(reserve(command));
    } else {
      tasks.push_back(reserves(&stock_, command));
    }
    for (int i = 0; i < 4; ++i) {
      tasks.push_back(releases(&stock_, command.id));
      tasks.push_back(settles(&stock_, {event(command.id, static_cast<OrderOutcome>(i % 2))}));
    }
    for (const auto& result : together(std::move(tasks))) {
      ASSERT_TRUE(result) << "one threw in round " << round;
    }
    ASSERT_EQ(broken_stock(), "0") << "after round " << round;
  }
}

/// Everything that moves stock, at random and at once, against the books.
TEST_F(StockRaceTest, KeepsItsBooksUnderAnyMixOfOperations) {
  constexpr int rounds = 30;
  constexpr int operations = 16;
  std::mt19937 random{42};
  const auto pick = [&](std::size_t below) {
    return std::uniform_int_distribution<std::size_t>{0, below - 1}(random);
  };
  std::vector<VariantId> variants;
  for (int i = 0; i < 3; ++i) {
    const Product product = store(new_product("Teapot", {20, 20}));
    for (const Variant& variant : product.variants) variants.push_back(variant.id);
  }
  std::vector<ReserveStock> reservations;
  std::size_t settled_count = 0;

  for (int round = 0; round < rounds; ++round) {
    std::vector<Task<bool>> tasks;
    for (int i = 0; i < operations; ++i) {
      const std::size_t kind = pick(6);
      if (kind < 2 || reservations.empty()) {
        std::vector<WantedLine> lines;
        for (std::size_t line = 0; line <= pick(4); ++line) {
          lines.push_back(
              {variants[pick(variants.size())], static_cast<std::int64_t>(pick(4)) + 1});
        }
        reservations.push_back(wanted(std::move(lines)));
        tasks.push_back(reserves(&stock_, reservations.back()));
      } else if (kind == 5) {
        const auto delta = static_cast<std::int64_t>(pick(9)) - 4;
        tasks.push_back([](PgStockStore* stock, VariantId variant, std::int64_t by) -> Task<bool> {
          AdjustStock command{.variant = variant,
                              .delta = by,
                              .reason = "random",
                              .event_id = crypto::new_uuid(),
                              .render = render_adjusted};
          const auto adjusted = co_await stock->adjust({}, std::move(command));
          co_return adjusted.has_value();
        }(&stock_, variants[pick(variants.size())], delta));
      } else {
        std::vector<SettledOrder> orders;
        for (std::size_t n = 0; n <= pick(4); ++n) {
          const auto& reservation = reservations[pick(reservations.size())];
          orders.push_back(event(reservation.id, static_cast<OrderOutcome>(pick(2))));
        }
        tasks.push_back(settles(&stock_, std::move(orders)));
      }
    }
    for (const auto& result : together(std::move(tasks))) {
      ASSERT_TRUE(result) << "an operation threw in round " << round;
      settled_count += *result ? 1 : 0;
    }
    ASSERT_EQ(broken_stock(), "0") << "after round " << round;
  }
  EXPECT_GT(settled_count, 100U) << "the mix must do something";
}

}  // namespace
}  // namespace stoa::product
