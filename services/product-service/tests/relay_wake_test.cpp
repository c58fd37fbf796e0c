#include "services/product-service/tests/fixture.hpp"

// A fact leaves at once: who has committed one wakes the relay; polling is the safety net.
namespace stoa::product {
namespace {

class RelayWakeTest : public StoreTest {
 protected:
  /// How often `act` woke it, and how many facts it wrote.
  template <class Act>
  std::pair<int, int> woken_and_told(const Act& act) {
    const int woken = postgres().woken();
    const int told = facts();
    act();
    return {postgres().woken() - woken, facts() - told};
  }

  int facts() { return std::stoi(sql("SELECT count(*) FROM outbox")); }

  /// Whether it was accepted.
  bool rename(ProductId id, std::int64_t version, std::string to) {
    ChangeProduct command{.product = id,
                          .version = version,
                          .event_id = crypto::new_uuid(),
                          .edit = [to = std::move(to)](Product product) {
                            product.name = to;
                            return Result<Product>{std::move(product)};
                          }};
    return run(world_->catalogue().change({}, std::move(command))).has_value();
  }

  void adjust(VariantId variant, std::int64_t delta) {
    AdjustStock command{.variant = variant,
                        .delta = delta,
                        .reason = "counted",
                        .event_id = crypto::new_uuid(),
                        .render = render_adjusted};
    EXPECT_TRUE(run(stock_.adjust({}, std::move(command))));
  }

  void import_one() {
    const Uuid worker = crypto::new_uuid();
    Import import{.id = new_id<ImportId>(), .currency = euro, .caller = "x"};
    run(world_->imports().begin_upload({}, import));
    EXPECT_TRUE(run(world_->imports().queue({}, import.id, "00", 0, std::nullopt, {})));
    EXPECT_TRUE(run(world_->imports().claim({}, worker)));
    ImportStep step{
        .import = import.id, .worker = worker, .next_uuid = crypto::new_uuid, .now = moment(0)};
    step.products = {{.handle = "cup", .name = "Cup"}};
    step.products[0].variants = {{.sku = "CUP", .price = Money{5, euro}}};
    run(world_->imports().store({}, std::move(step)));
    run(world_->imports().finish({}, import.id, worker, ""));
  }
};

using Counts = std::pair<int, int>;

TEST_F(RelayWakeTest, ComesWithEachFactOfTheCatalogueAndWithNothingElse) {
  NewProduct teapot = new_product("Teapot", {3});
  EXPECT_EQ(woken_and_told([&] { store(teapot); }), (Counts{1, 1}));
  EXPECT_EQ(woken_and_told([&] { EXPECT_TRUE(rename(teapot.id, 1, "Pot")); }), (Counts{1, 1}));
  EXPECT_EQ(woken_and_told([&] { EXPECT_FALSE(rename(teapot.id, 9, "Cup")); }), (Counts{0, 0}))
      << "refused";
  EXPECT_EQ(woken_and_told([&] { EXPECT_TRUE(rename(teapot.id, 1, "Pot")); }), (Counts{0, 0}))
      << "unchanged";
}

TEST_F(RelayWakeTest, ComesWithAStepOfAnImportThatChangedSomething) {
  EXPECT_EQ(woken_and_told([&] { import_one(); }), (Counts{1, 1}));
  EXPECT_EQ(woken_and_told([&] { import_one(); }), (Counts{0, 0})) << "nothing new in the file";
}

TEST_F(RelayWakeTest, ComesWhenStockGetsLow) {
  const VariantId variant = store(new_product("Teapot", {9})).variants[0].id;
  const auto reserve = [&](std::int64_t first, std::int64_t second) {
    EXPECT_TRUE(run(stock_.reserve({}, wanted({{variant, first}, {variant, second}}))));
  };
  EXPECT_EQ(woken_and_told([&] { reserve(1, 1); }), (Counts{0, 0})) << "seven are left";
  EXPECT_EQ(woken_and_told([&] { reserve(1, 1); }), (Counts{1, 1})) << "both lines count";
  EXPECT_EQ(woken_and_told([&] { adjust(variant, -1); }), (Counts{0, 0})) << "it was low before";
  EXPECT_EQ(woken_and_told([&] { adjust(variant, 10); }), (Counts{0, 0}));
  EXPECT_EQ(woken_and_told([&] { adjust(variant, -9); }), (Counts{1, 1}));
}

}  // namespace
}  // namespace stoa::product
