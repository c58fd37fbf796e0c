#include <concepts>
#include <format>

#include "services/product-service/adapters/http_stock.hpp"
#include "services/product-service/tests/worlds.hpp"

// One suite for the fake and for PostgreSQL; what happens at once is in stock_race_test.
namespace stoa::product {
namespace {

class StockStoreSuite : public WorldTest {
 protected:
  explicit StockStoreSuite(Kind kind) : WorldTest{kind} {}

  StockStore& stock() { return world_->stock(); }

  std::vector<bool> settle(std::vector<SettledOrder> orders) {
    return run(stock().settle_orders({}, std::move(orders))).known;
  }

  static SettledOrder event(ReservationId id, OrderOutcome outcome) {
    return {.event_id = crypto::new_uuid(), .reservation = id, .outcome = outcome};
  }

  Result<Product> edit(ProductId id, std::function<Result<Product>(Product)> change) {
    ChangeProduct command{.product = id, .event_id = crypto::new_uuid(), .edit = std::move(change)};
    return run(world_->catalogue().change({}, std::move(command)));
  }
};

class StockStoreTest : public StockStoreSuite, public testing::WithParamInterface<Kind> {
 protected:
  StockStoreTest() : StockStoreSuite{GetParam()} {}
};

INSTANTIATE_TEST_SUITE_P(Stores, StockStoreTest, testing::Values(Kind::fake, Kind::postgres),
                         [](const auto& kind) { return name(kind.param); });

TEST_P(StockStoreTest, ReservesPricesAndNamesTheLinesInTheirOrder) {
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
  EXPECT_TRUE(world_->books_agree());
}

TEST_P(StockStoreTest, TakesAllLinesOrNone) {
  const Product product = store(new_product("Teapot", {5, 1}));

  const auto refused = reserve(wanted({{product.variants[0].id, 1}, {product.variants[1].id, 2}}));

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "out_of_stock");
  EXPECT_EQ(refused.error().fields.at(0).pointer, "/lines/1/quantity");
  EXPECT_EQ(refused.error().fields.at(0).detail, "1 available");
  EXPECT_EQ(reserved(product.variants[0].id), 0);
}

TEST_P(StockStoreTest, AddsUpTheLinesOfOneVariant) {
  const Product product = store(new_product("Teapot", {3}));
  const VariantId variant = product.variants[0].id;

  EXPECT_EQ(reserve(wanted({{variant, 2}, {variant, 2}})).error().code, "out_of_stock");
  EXPECT_TRUE(reserve(wanted({{variant, 2}, {variant, 1}})));
  EXPECT_EQ(reserved(variant), 3);
}

TEST_P(StockStoreTest, RefusesWhatIsNotOnSale) {
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

TEST_P(StockStoreTest, SellsNothingOfWhatIsArchived) {
  const Product stored = store(new_product("Teapot", {3}));
  ASSERT_TRUE(edit(stored.id, [](Product product) {
    return Result<Product>{archived(std::move(product), moment(9))};
  }));
  EXPECT_EQ(reserve(wanted({{stored.variants[0].id, 1}})).error().code, "variant_not_found");
}

TEST_P(StockStoreTest, AnswersARepeatWithTheFirstSuccess) {
  const Product product = store(new_product("Teapot", {3}));
  const VariantId variant = product.variants[0].id;
  const auto command = wanted({{variant, 3}});
  const auto first = reserve(command);
  ASSERT_TRUE(edit(product.id, [&](Product edited) {
    return with_prices(std::move(edited), variant, {Money{1, euro}}, moment(9));
  }));

  const auto again = reserve(command);

  ASSERT_TRUE(again);
  EXPECT_EQ(again->reservation.lines[0].unit_price, first->reservation.lines[0].unit_price);
  EXPECT_EQ(again->reservation.expires_at, first->reservation.expires_at);
  EXPECT_EQ(reserved(variant), 3);

  run(stock().settle({}, command.id, Settlement::commit));
  EXPECT_TRUE(reserve(command)) << "a committed one answers, too";
}

TEST_P(StockStoreTest, RefusesAnIdForOtherLinesAndAfterItsEnd) {
  const Product product = store(new_product("Teapot", {3}));
  const VariantId variant = product.variants[0].id;
  auto command = wanted({{variant, 1}});
  ASSERT_TRUE(reserve(command));

  auto other = command;
  other.lines[0].quantity = 2;
  EXPECT_EQ(reserve(other).error().code, "reservation_reused");

  run(stock().settle({}, command.id, Settlement::release));
  EXPECT_EQ(reserve(command).error().code, "reservation_ended");
  EXPECT_EQ(reserved(variant), 0) << "a released id is never revived";
}

// An event that could say `release` was settled as a payment.
template <class What>
concept ToldByEvents = std::assignable_from<decltype(SettledOrder::outcome)&, What>;
static_assert(ToldByEvents<OrderOutcome> && !ToldByEvents<Settlement>);

struct Settling {
  const char* title;
  std::vector<OrderOutcome> outcomes;
  std::string_view state;
  std::int64_t on_hand;
  std::int64_t reserved;
};

class Settles : public StockStoreSuite,
                public testing::WithParamInterface<std::tuple<Kind, Settling>> {
 protected:
  Settles() : StockStoreSuite{std::get<Kind>(GetParam())} {}
};

TEST_P(Settles, ByEventsInAnyOrderAndAnyNumber) {
  const Settling& settling = std::get<Settling>(GetParam());
  const Product product = store(new_product("Teapot", {10}));
  const VariantId variant = product.variants[0].id;
  const auto command = wanted({{variant, 4}});
  ASSERT_TRUE(reserve(command));
  std::vector<SettledOrder> events;
  for (const OrderOutcome outcome : settling.outcomes) {
    events.push_back(event(command.id, outcome));
  }

  for (const SettledOrder& one : events) {
    settle({one});
    settle({one});
  }
  settle(events);

  EXPECT_EQ(world_->state_of(command.id), settling.state);
  EXPECT_EQ(on_hand(variant), settling.on_hand);
  EXPECT_EQ(reserved(variant), settling.reserved);
  EXPECT_TRUE(world_->books_agree());
}

INSTANTIATE_TEST_SUITE_P(
    Orders, Settles,
    testing::Combine(testing::Values(Kind::fake, Kind::postgres),
                     testing::Values(Settling{"Paid", {OrderOutcome::paid}, "committed", 6, 0},
                                     Settling{"Failed", {OrderOutcome::ended}, "released", 10, 0},
                                     Settling{"PaidThenCancelled",
                                              {OrderOutcome::paid, OrderOutcome::ended},
                                              "restocked",
                                              10,
                                              0},
                                     Settling{"CancelledBeforePaid",
                                              {OrderOutcome::ended, OrderOutcome::paid},
                                              "released",
                                              10,
                                              0})),
    [](const auto& both) {
      return name(std::get<Kind>(both.param)) + std::get<Settling>(both.param).title;
    });

TEST_P(StockStoreTest, SettlesABatchWithRepeatsAndStrangersInIt) {
  const Product product = store(new_product("Teapot", {10}));
  const VariantId variant = product.variants[0].id;
  const auto paid = wanted({{variant, 1}});
  const auto both = wanted({{variant, 2}});
  ASSERT_TRUE(reserve(paid));
  ASSERT_TRUE(reserve(both));
  const SettledOrder repeated = event(paid.id, OrderOutcome::paid);
  const SettledOrder stranger = event(new_id<ReservationId>(), OrderOutcome::paid);

  const auto known = settle({repeated, stranger, event(both.id, OrderOutcome::paid), repeated,
                             event(both.id, OrderOutcome::ended)});

  EXPECT_EQ(known, (std::vector<bool>{true, false, true, true, true}));
  EXPECT_EQ(world_->state_of(paid.id), "committed");
  EXPECT_EQ(world_->state_of(both.id), "released") << "what ends within the batch was never gone";
  EXPECT_EQ(on_hand(variant), 9);
  EXPECT_TRUE(world_->books_agree());
  EXPECT_EQ(world_->events_taken(), 3) << "a stranger's event can come again";
}

TEST_P(StockStoreTest, TellsWhenAProductSellsOutAndComesBack) {
  const Product product = store(new_product("Teapot", {2}));
  const VariantId variant = product.variants[0].id;

  EXPECT_TRUE(reserve(wanted({{variant, 1}}))->stale.empty());
  const auto last = wanted({{variant, 1}});
  EXPECT_EQ(reserve(last)->stale, (StaleProducts{product.id}));
  EXPECT_EQ(run(stock().settle({}, last.id, Settlement::release)), (StaleProducts{product.id}));
}

TEST_P(StockStoreTest, TellsLowStockOnceEachTimeItGetsThere) {
  const Product product = store(new_product("Teapot", {8}));
  const VariantId variant = product.variants[0].id;
  ASSERT_TRUE(reserve(wanted({{variant, 2}})));
  EXPECT_EQ(world_->told_low(), 0) << "six are left";
  const auto fifth = wanted({{variant, 1}});
  ASSERT_TRUE(reserve(fifth));
  EXPECT_EQ(world_->told_low(), 1);
  ASSERT_TRUE(reserve(wanted({{variant, 1}})));
  EXPECT_EQ(world_->told_low(), 1) << "it was told already";
  run(stock().settle({}, fifth.id, Settlement::release));
  ASSERT_TRUE(reserve(wanted({{variant, 2}})));
  EXPECT_EQ(world_->told_low(), 1) << "five were left before, too";
}

TEST_P(StockStoreTest, HandsOutOverdueReservationsByTheDatabasesClock) {
  const Product product = store(new_product("Teapot", {8}));
  const auto command = wanted({{product.variants[0].id, 1}});
  ASSERT_TRUE(reserve(command));

  EXPECT_TRUE(run(stock().claim_overdue({})).empty());
  world_->pass(std::chrono::seconds{901});
  const auto overdue = run(stock().claim_overdue({}));
  ASSERT_EQ(overdue.size(), 1U);
  EXPECT_EQ(overdue[0].id, command.id);
  EXPECT_EQ(overdue[0].origin, command.origin);
  EXPECT_TRUE(run(stock().claim_overdue({})).empty()) << "not again at once";
  world_->pass(std::chrono::seconds{11});
  EXPECT_EQ(run(stock().claim_overdue({})).size(), 1U) << "nothing came of it";
  run(stock().settle({}, command.id, Settlement::release));
  world_->pass(std::chrono::seconds{11});
  EXPECT_TRUE(run(stock().claim_overdue({})).empty());
}

TEST_P(StockStoreTest, AdjustsButNeverBelowWhatIsReserved) {
  const Product product = store(new_product("Teapot", {5}));
  const VariantId variant = product.variants[0].id;
  ASSERT_TRUE(reserve(wanted({{variant, 3}})));
  const auto adjust = [&](std::int64_t delta) {
    return run(stock().adjust({}, {.variant = variant,
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
  EXPECT_TRUE(world_->books_agree());

  const auto page =
      run(stock().movements({}, {.variant = variant, .limit = 2, .with_total = true}));
  ASSERT_TRUE(page);
  ASSERT_EQ(page->movements.size(), 2U);
  EXPECT_EQ(page->movements[0].delta, 10);
  EXPECT_EQ(page->movements[0].reason, "counted");
  EXPECT_EQ(page->total, ListTotal{3});
  const auto rest =
      run(stock().movements({}, {.variant = variant, .before = page->next, .limit = 2}));
  ASSERT_EQ(rest->movements.size(), 1U);
  EXPECT_EQ(rest->movements[0].kind, "initial");
  EXPECT_FALSE(rest->next);
  EXPECT_EQ(rest->total, std::nullopt) << "nobody asked";
}

TEST_P(StockStoreTest, LetsABuyerHoldTenReservations) {
  const VariantId variant = store(new_product("Teapot", {100})).variants[0].id;
  const auto buyer = new_id<UserId>();
  const auto first = wanted({{variant, 1}}, buyer);
  ASSERT_TRUE(reserve(first));
  for (int i = 1; i < open_reservations_max; ++i) {
    ASSERT_TRUE(reserve(wanted({{variant, 1}}, buyer)));
  }
  EXPECT_EQ(reserve(wanted({{variant, 1}}, buyer)).error().code, "too_many_open_orders");
  EXPECT_TRUE(reserve(first)) << "a repeat does not count twice";
  run(stock().settle({}, first.id, Settlement::commit));
  EXPECT_TRUE(reserve(wanted({{variant, 1}}, buyer))) << "what is paid is not open";
}

TEST_P(StockStoreTest, AdjustsOnceForOneKey) {
  const VariantId variant = store(new_product("Teapot", {5})).variants[0].id;
  AdjustStock command{.variant = variant,
                      .delta = 2,
                      .reason = "found",
                      .event_id = crypto::new_uuid(),
                      .key = RequestKey{.origin = crypto::new_uuid(),
                                        .caller = "usr_x",
                                        .fingerprint = std::string(64, 'a')},
                      .render = render_adjusted};
  EXPECT_TRUE(run(stock().adjust({}, command))->answer);
  command.event_id = crypto::new_uuid();
  EXPECT_FALSE(run(stock().adjust({}, command))->answer) << "the key is taken";
  EXPECT_EQ(on_hand(variant), 7);
  command.variant = new_id<VariantId>();
  EXPECT_EQ(run(stock().adjust({}, command)).error().code, "variant_not_found");
  EXPECT_EQ(run(stock().movements({}, {.variant = command.variant})).error().code,
            "variant_not_found");
}

class LongJournalTest : public StockStoreSuite {
 protected:
  LongJournalTest() : StockStoreSuite{Kind::postgres} {}
};

TEST_F(LongJournalTest, IsCountedToALimitAndAlone) {
  const VariantId variant = store(new_product("Teapot", {5})).variants[0].id;
  const VariantId other = store(new_product("Cup", {5})).variants[0].id;
  const auto total_after = [&](std::int64_t more) {
    static_cast<PgWorld&>(*world_).sql(
        std::format("INSERT INTO stock_movements (variant_id, delta, kind)"
                    " SELECT '{}', 1, 'adjustment' FROM generate_series(1, {})",
                    variant.uuid.str(), more));
    return *run(stock().movements({}, {.variant = variant, .limit = 1, .with_total = true}))->total;
  };
  EXPECT_EQ(total_after(list_counted_max - 1), (ListTotal{list_counted_max, true}));
  EXPECT_EQ(total_after(1), (ListTotal{list_counted_max, false}));
  EXPECT_EQ(run(stock().movements({}, {.variant = other, .with_total = true}))->total,
            ListTotal{1});
}

}  // namespace
}  // namespace stoa::product
