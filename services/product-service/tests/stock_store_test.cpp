#include <map>
#include <random>
#include <set>

#include "services/product-service/tests/fixture.hpp"

namespace stoa::product {
namespace {

using State = ReservationState;

class StockStoreTest : public StoreTest {
 protected:
  Result<Reserved> reserve(ReserveStock command) {
    return run(stock_.reserve({}, std::move(command)));
  }

  std::string state_of(ReservationId id) {
    return sql("SELECT state FROM reservations WHERE id = '" + id.uuid.str() + "'");
  }

  std::vector<bool> settle(std::vector<SettledOrder> orders) {
    return run(stock_.settle_orders({}, std::move(orders))).known;
  }

  static SettledOrder event(ReservationId id, Settlement settlement) {
    return {.event_id = crypto::new_uuid(), .reservation = id, .settlement = settlement};
  }
};

TEST_F(StockStoreTest, ReservesPricesAndNamesTheLinesInTheirOrder) {
  NewProduct teapot = new_product("Teapot", {5, 5});
  const Product product = store(teapot);
  const auto& [first, second] = std::pair{product.variants[0], product.variants[1]};

  const auto reserved = reserve(wanted({{second.id, 2}, {first.id, 1}}));

  ASSERT_TRUE(reserved);
  const auto& lines = reserved->reservation.lines;
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].variant, second.id);
  EXPECT_EQ(lines[0].name, "Teapot - 1");
  EXPECT_EQ(lines[0].unit_price, (Money{1'100, euro}));
  EXPECT_EQ(lines[1].sku, first.sku);
  EXPECT_EQ(lines[1].product, product.id);
  EXPECT_EQ(this->reserved(second.id), 2);
  EXPECT_EQ(broken_stock(), "0");
}

TEST_F(StockStoreTest, TakesAllLinesOrNone) {
  const Product product = store(new_product("Teapot", {5, 1}));

  const auto refused = reserve(wanted({{product.variants[0].id, 1}, {product.variants[1].id, 2}}));

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "out_of_stock");
  EXPECT_EQ(refused.error().fields.at(0).pointer, "/lines/1/quantity");
  EXPECT_EQ(refused.error().fields.at(0).detail, "1 available");
  EXPECT_EQ(reserved(product.variants[0].id), 0);
}

TEST_F(StockStoreTest, AddsUpTheLinesOfOneVariant) {
  const Product product = store(new_product("Teapot", {3}));
  const VariantId variant = product.variants[0].id;

  EXPECT_EQ(reserve(wanted({{variant, 2}, {variant, 2}})).error().code, "out_of_stock");
  EXPECT_TRUE(reserve(wanted({{variant, 2}, {variant, 1}})));
  EXPECT_EQ(reserved(variant), 3);
}

TEST_F(StockStoreTest, RefusesWhatIsNotOnSale) {
  const Product product = store(new_product("Teapot", {3}));
  NewProduct hidden = new_product("Draft", {3});
  hidden.status = Status::draft;
  const Product draft = store(hidden);
  const VariantId variant = product.variants[0].id;

  EXPECT_EQ(reserve(wanted({{new_id<VariantId>(), 1}})).error().code, "variant_not_found");
  EXPECT_EQ(reserve(wanted({{draft.variants[0].id, 1}})).error().code, "variant_not_found");
  auto in_dollars = wanted({{variant, 1}});
  in_dollars.currency = dollar;
  EXPECT_EQ(reserve(in_dollars).error().code, "currency_not_available");
}

TEST_F(StockStoreTest, SellsNothingOfWhatIsArchived) {
  const Product stored = store(new_product("Teapot", {3}));
  ASSERT_TRUE(run(world_->catalogue().change({}, {.product = stored.id,
                                                  .version = std::nullopt,
                                                  .event_id = crypto::new_uuid(),
                                                  .edit = [](Product product) {
                                                    return Result<Product>{
                                                        archived(std::move(product), moment(9))};
                                                  }})));
  EXPECT_EQ(reserve(wanted({{stored.variants[0].id, 1}})).error().code, "variant_not_found");
}

TEST_F(StockStoreTest, AnswersARepeatWithTheFirstSuccess) {
  const Product product = store(new_product("Teapot", {3}));
  const VariantId variant = product.variants[0].id;
  const auto command = wanted({{variant, 3}});
  const auto first = reserve(command);
  sql("UPDATE prices SET amount_minor = 1");

  const auto again = reserve(command);

  ASSERT_TRUE(again);
  EXPECT_EQ(again->reservation.lines[0].unit_price, first->reservation.lines[0].unit_price);
  EXPECT_EQ(again->reservation.expires_at, first->reservation.expires_at);
  EXPECT_EQ(reserved(variant), 3);

  run(stock_.settle({}, command.id, Settlement::commit));
  EXPECT_TRUE(reserve(command)) << "a committed one answers, too";
}

TEST_F(StockStoreTest, RefusesAnIdForOtherLinesAndAfterItsEnd) {
  const Product product = store(new_product("Teapot", {3}));
  const VariantId variant = product.variants[0].id;
  auto command = wanted({{variant, 1}});
  ASSERT_TRUE(reserve(command));

  auto other = command;
  other.lines[0].quantity = 2;
  EXPECT_EQ(reserve(other).error().code, "reservation_reused");

  run(stock_.settle({}, command.id, Settlement::release));
  EXPECT_EQ(reserve(command).error().code, "reservation_ended");
  EXPECT_EQ(reserved(variant), 0) << "a released id is never revived";
}

TEST_F(StockStoreTest, LetsABuyerHoldTenReservations) {
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

TEST_F(StockStoreTest, SellsTheLastUnitOnce) {
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

TEST_F(StockStoreTest, ReservesOnceForTwinsOfOneRequest) {
  const Product product = store(new_product("Teapot", {1}));
  const auto command = wanted({{product.variants[0].id, 1}});
  std::vector<Task<Result<Reserved>>> tasks;
  for (int i = 0; i < 20; ++i) tasks.push_back(stock_.reserve({}, command));

  for (const auto& result : together(std::move(tasks))) {
    ASSERT_TRUE(result && result->has_value()) << "each twin gets the one reservation";
  }
  EXPECT_EQ(reserved(product.variants[0].id), 1);
}

struct Settling {
  const char* name;
  std::vector<Settlement> settlements;
  std::string_view state;
  std::int64_t on_hand;
  std::int64_t reserved;
};

class Settles : public StockStoreTest, public testing::WithParamInterface<Settling> {};

TEST_P(Settles, ByEventsInAnyOrderAndAnyNumber) {
  const Product product = store(new_product("Teapot", {10}));
  const VariantId variant = product.variants[0].id;
  const auto command = wanted({{variant, 4}});
  ASSERT_TRUE(reserve(command));
  std::vector<SettledOrder> events;
  for (const Settlement settlement : GetParam().settlements) {
    events.push_back(event(command.id, settlement));
  }

  for (const SettledOrder& one : events) {
    settle({one});
    settle({one});
  }
  settle(events);

  EXPECT_EQ(state_of(command.id), GetParam().state);
  EXPECT_EQ(on_hand(variant), GetParam().on_hand);
  EXPECT_EQ(reserved(variant), GetParam().reserved);
  EXPECT_EQ(broken_stock(), "0");
}

INSTANTIATE_TEST_SUITE_P(
    Orders, Settles,
    testing::Values(
        Settling{"Paid", {Settlement::commit}, "committed", 6, 0},
        Settling{"Failed", {Settlement::end}, "released", 10, 0},
        Settling{"PaidThenCancelled", {Settlement::commit, Settlement::end}, "restocked", 10, 0},
        Settling{"CancelledArrivesBeforePaid",
                 {Settlement::end, Settlement::commit},
                 "released",
                 10,
                 0}),
    [](const auto& settling) { return settling.param.name; });

TEST_F(StockStoreTest, SettlesABatchWithRepeatsAndStrangersInIt) {
  const Product product = store(new_product("Teapot", {10}));
  const VariantId variant = product.variants[0].id;
  const auto paid = wanted({{variant, 1}});
  const auto both = wanted({{variant, 2}});
  ASSERT_TRUE(reserve(paid));
  ASSERT_TRUE(reserve(both));
  const SettledOrder repeated = event(paid.id, Settlement::commit);
  const SettledOrder stranger = event(new_id<ReservationId>(), Settlement::commit);

  const auto known = settle({repeated, stranger, event(both.id, Settlement::commit), repeated,
                             event(both.id, Settlement::end)});

  EXPECT_EQ(known, (std::vector<bool>{true, false, true, true, true}));
  EXPECT_EQ(state_of(paid.id), "committed");
  EXPECT_EQ(state_of(both.id), "released") << "what ends within the batch was never gone";
  EXPECT_EQ(on_hand(variant), 9);
  EXPECT_EQ(broken_stock(), "0");
  EXPECT_EQ(sql("SELECT count(*) FROM inbox"), "3") << "a stranger's event can come again";
}

TEST_F(StockStoreTest, TellsWhenAProductSellsOutAndComesBack) {
  const Product product = store(new_product("Teapot", {2}));
  const VariantId variant = product.variants[0].id;

  EXPECT_TRUE(reserve(wanted({{variant, 1}}))->stale.empty());
  const auto last = wanted({{variant, 1}});
  EXPECT_EQ(reserve(last)->stale, (StaleProducts{product.id}));
  EXPECT_EQ(run(stock_.settle({}, last.id, Settlement::release)), (StaleProducts{product.id}));
}

TEST_F(StockStoreTest, TellsLowStockOnceEachTimeItGetsThere) {
  const Product product = store(new_product("Teapot", {8}));
  const VariantId variant = product.variants[0].id;
  const std::string count = "SELECT count(*) FROM outbox WHERE type = 'stock.low'";

  ASSERT_TRUE(reserve(wanted({{variant, 2}})));
  EXPECT_EQ(sql(count), "0") << "six are left";
  const auto fifth = wanted({{variant, 1}});
  ASSERT_TRUE(reserve(fifth));
  EXPECT_EQ(sql("SELECT data FROM outbox WHERE type = 'stock.low'"),
            "{\"available\": 5, \"variant_id\": \"" + variant.str() + "\"}");
  ASSERT_TRUE(reserve(wanted({{variant, 1}})));
  EXPECT_EQ(sql(count), "1") << "it was told already";
  run(stock_.settle({}, fifth.id, Settlement::release));
  ASSERT_TRUE(reserve(wanted({{variant, 2}})));
  EXPECT_EQ(sql(count), "1") << "five were left before, too";
}

TEST_F(StockStoreTest, HandsOutOverdueReservationsByTheDatabasesClock) {
  const Product product = store(new_product("Teapot", {8}));
  const auto command = wanted({{product.variants[0].id, 1}});
  ASSERT_TRUE(reserve(command));

  EXPECT_TRUE(run(stock_.claim_overdue({})).empty());
  sql("UPDATE reservations SET check_at = now()");
  const auto overdue = run(stock_.claim_overdue({}));
  ASSERT_EQ(overdue.size(), 1U);
  EXPECT_EQ(overdue[0].id, command.id);
  EXPECT_EQ(overdue[0].origin, command.origin);
  EXPECT_TRUE(run(stock_.claim_overdue({})).empty()) << "not again at once";
}

TEST_F(StockStoreTest, AdjustsButNeverBelowWhatIsReserved) {
  const Product product = store(new_product("Teapot", {5}));
  const VariantId variant = product.variants[0].id;
  ASSERT_TRUE(reserve(wanted({{variant, 3}})));
  const auto adjust = [&](std::int64_t delta) {
    return run(stock_.adjust({}, {.variant = variant,
                                  .delta = delta,
                                  .reason = "counted",
                                  .actor = "usr_x",
                                  .event_id = crypto::new_uuid(),
                                  .render = render_adjusted}));
  };

  EXPECT_TRUE(adjust(-2));
  EXPECT_EQ(adjust(-1).error().code, "stock_below_reserved");
  EXPECT_TRUE(adjust(10));
  EXPECT_EQ(on_hand(variant), 13);
  EXPECT_EQ(broken_stock(), "0");

  const auto page = run(stock_.movements({}, variant, std::nullopt, 2));
  ASSERT_TRUE(page);
  ASSERT_EQ(page->movements.size(), 2U);
  EXPECT_EQ(page->movements[0].delta, 10);
  EXPECT_EQ(page->movements[0].reason, "counted");
  const auto rest = run(stock_.movements({}, variant, page->next, 2));
  ASSERT_EQ(rest->movements.size(), 1U);
  EXPECT_EQ(rest->movements[0].kind, "initial");
  EXPECT_FALSE(rest->next);
}

/// Everything that moves stock, at random and at once, against the books.
TEST_F(StockStoreTest, KeepsItsBooksUnderAnyMixOfOperations) {
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
        tasks.push_back([](PgStockStore* stock, ReserveStock command) -> Task<bool> {
          const auto reserved = co_await stock->reserve({}, std::move(command));
          co_return reserved.has_value();
        }(&stock_, reservations.back()));
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
          orders.push_back(event(reservation.id, static_cast<Settlement>(pick(3))));
        }
        tasks.push_back([](PgStockStore* stock, std::vector<SettledOrder> batch) -> Task<bool> {
          co_await stock->settle_orders({}, std::move(batch));
          co_return true;
        }(&stock_, std::move(orders)));
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
