#include "services/product-service/domain/import_plan.hpp"

#include <gtest/gtest.h>

namespace stoa::product {
namespace {

const Currency euro = *Currency::parse("EUR");
const Currency dollar = *Currency::parse("USD");
constexpr Instant noon{std::chrono::hours{12}};

class ImportPlanTest : public testing::Test {
 protected:
  ImportedProduct mug(std::int64_t price = 450, std::optional<std::int64_t> quantity = 12) {
    ImportedProduct product;
    product.line = 2;
    product.handle = "mug";
    product.name = "Mug";
    product.variants = {{.line = 2,
                         .quantity_line = 2,
                         .sku = "MUG-B",
                         .options = {{"Colour", "Blue"}},
                         .title = "Blue",
                         .price = Money{price, euro},
                         .quantity = quantity}};
    return product;
  }

  /// The shop after `mug()` was imported, with `reserved` of its units held.
  void own_mug(std::int64_t reserved = 0) {
    auto imported = mug();
    auto planned = plan(imported, before_, rules());
    auto& product = planned->product;
    product.variants[0].prices.push_back(Money{500, dollar});
    before_.stock[product.variants[0].id] = {
        .variant = product.variants[0].id, .on_hand = 12, .reserved = reserved};
    before_.products[product.handle] = product;
  }

  ImportRules rules(bool set_stock = false) {
    return {.currency = euro,
            .set_stock = set_stock,
            .now = noon,
            .next_product_id = [this] { return ProductId{next_uuid()}; },
            .next_variant_id = [this] { return VariantId{next_uuid()}; }};
  }

  Uuid next_uuid() {
    Uuid id;
    id.bytes[15] = ++next_;
    return id;
  }

  ShopBefore before_;
  std::uint8_t next_ = 0;
};

using Kind = PlannedProduct::Kind;

TEST_F(ImportPlanTest, CreatesWhatIsNewWithItsStock) {
  auto imported = mug();
  const auto planned = plan(imported, before_, rules());

  ASSERT_TRUE(planned);
  EXPECT_EQ(planned->kind, Kind::created);
  ASSERT_EQ(planned->new_stock.size(), 1U);
  EXPECT_EQ(planned->new_stock[0].on_hand, 12);
}

TEST_F(ImportPlanTest, ChangesNothingTheSecondTime) {
  own_mug();
  auto again = mug();
  const auto planned = plan(again, before_, rules());

  EXPECT_EQ(planned->kind, Kind::unchanged);
  EXPECT_TRUE(planned->new_variants.empty());
}

TEST_F(ImportPlanTest, UpdatesThePriceOfItsCurrencyAndLeavesTheOthers) {
  own_mug();
  auto dearer = mug(475);
  const auto planned = plan(dearer, before_, rules());

  EXPECT_EQ(planned->kind, Kind::updated);
  EXPECT_EQ(planned->product.version, 2);
  EXPECT_EQ(planned->product.variants[0].prices,
            (std::vector<Money>{Money{475, euro}, Money{500, dollar}}));
}

TEST_F(ImportPlanTest, CountsQuantitiesOfKnownVariantsOnlyWhenAsked) {
  own_mug();
  auto imported = mug(450, 20);
  EXPECT_EQ(plan(imported, before_, rules())->kind, Kind::unchanged);

  const auto planned = plan(imported, before_, rules(true));
  EXPECT_EQ(planned->kind, Kind::updated);
  ASSERT_EQ(planned->stock_changes.size(), 1U);
  EXPECT_EQ(planned->stock_changes[0].delta, 8);
}

TEST_F(ImportPlanTest, RefusesToGoBelowWhatIsReserved) {
  own_mug(5);
  auto fine = mug(450, 5);
  EXPECT_TRUE(plan(fine, before_, rules(true)));

  auto imported = mug(450, 4);
  EXPECT_FALSE(plan(imported, before_, rules(true)));
  EXPECT_EQ(imported.problems[0].code, "stock_below_reserved");
  EXPECT_EQ(imported.problems[0].line, 2);
}

TEST_F(ImportPlanTest, FindsAVariantByItsOptionsWhenItsSkuChanged) {
  own_mug();
  auto imported = mug();
  imported.variants[0].sku = "NEW";
  const auto planned = plan(imported, before_, rules());

  ASSERT_EQ(planned->product.variants.size(), 1U);
  EXPECT_EQ(planned->product.variants[0].sku, "NEW");
}

TEST_F(ImportPlanTest, KeepsVariantsTheFileDoesNotName) {
  own_mug();
  auto imported = mug();
  imported.variants[0].sku = "MUG-G";
  imported.variants[0].options = {{"Colour", "Green"}};
  const auto planned = plan(imported, before_, rules());

  EXPECT_EQ(planned->product.variants.size(), 2U);
  EXPECT_EQ(planned->new_stock.size(), 1U);
}

TEST_F(ImportPlanTest, RefusesASkuOfAnotherProductAlsoOneOfTheSameBatch) {
  auto first = mug();
  ASSERT_TRUE(plan(first, before_, rules()));
  auto second = mug();
  second.handle = "cup";
  EXPECT_FALSE(plan(second, before_, rules()));
  EXPECT_EQ(second.problems[0].code, "sku_taken");
}

TEST_F(ImportPlanTest, RefusesAVariantTwice) {
  auto imported = mug();
  imported.variants.push_back(imported.variants[0]);
  imported.variants[1].line = 3;

  EXPECT_FALSE(plan(imported, before_, rules()));
  EXPECT_EQ(imported.problems[0].code, "variant_repeated");
  EXPECT_EQ(imported.problems[0].line, 3);
}

TEST_F(ImportPlanTest, RefusesANewProductWithoutATitle) {
  auto imported = mug();
  imported.name.reset();

  EXPECT_FALSE(plan(imported, before_, rules()));
  EXPECT_EQ(imported.problems[0].code, "title_missing");
}

}  // namespace
}  // namespace stoa::product
