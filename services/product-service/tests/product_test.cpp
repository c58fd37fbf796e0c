#include "services/product-service/domain/product.hpp"

#include <functional>
#include <string>

#include <gtest/gtest.h>

namespace stoa::product {
namespace {

const Currency euro = *Currency::parse("EUR");
constexpr Instant noon{std::chrono::hours{12}};
constexpr Instant later{std::chrono::hours{13}};

VariantId variant_id(std::uint8_t n) {
  VariantId id{};
  id.uuid.bytes[15] = n;
  return id;
}

NewProduct teapot() {
  return {.id = {},
          .handle = std::nullopt,
          .name = "Cast-iron Teapot, 0.8 l",
          .description = "",
          .category = "kitchen",
          .vendor = std::nullopt,
          .tags = {"tea"},
          .image_url = std::nullopt,
          .status = Status::active,
          .variants = {{.id = variant_id(1),
                        .sku = "POT-R",
                        .options = {{"Colour", "Red"}},
                        .prices = {Money{1299, euro}},
                        .stock = 3},
                       {.id = variant_id(2),
                        .sku = "POT-B",
                        .options = {{"Colour", "Blue"}},
                        .prices = {Money{999, euro}},
                        .stock = 0}},
          .now = noon};
}

TEST(MakeProduct, NamesItselfAndItsVariants) {
  const auto product = make_product(teapot());

  ASSERT_TRUE(product);
  EXPECT_EQ(product->handle, "cast-iron-teapot-0-8-l");
  EXPECT_EQ(product->variants[0].title, "Red");
  EXPECT_TRUE(product->variants[0].in_stock);
  EXPECT_FALSE(product->variants[1].in_stock);
  EXPECT_EQ(lowest_prices(*product), (std::vector<Money>{Money{999, euro}}));
  EXPECT_EQ(keywords_of(*product), "Blue POT-B POT-R Red tea");
}

struct Refusal {
  const char* name;
  std::function<void(NewProduct&)> spoil;
  std::string pointer;
};

class MakeProductRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(MakeProductRefuses, ByPointer) {
  NewProduct wanted = teapot();
  GetParam().spoil(wanted);
  const auto product = make_product(wanted);

  ASSERT_FALSE(product);
  EXPECT_EQ(product.error().code, "invalid_product");
  ASSERT_EQ(product.error().fields.size(), 1U);
  EXPECT_EQ(product.error().fields[0].pointer, GetParam().pointer);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, MakeProductRefuses,
    testing::Values(
        Refusal{"NoName", [](NewProduct& p) { p.name = ""; }, "/name"},
        Refusal{"LongName", [](NewProduct& p) { p.name.assign(name_bytes_max + 1, 'x'); }, "/name"},
        Refusal{"ControlCharacter", [](NewProduct& p) { p.name = "a\x02"; }, "/name"},
        Refusal{"BadHandle", [](NewProduct& p) { p.handle = "A b"; }, "/handle"},
        Refusal{"NoVariants", [](NewProduct& p) { p.variants.clear(); }, "/variants"},
        Refusal{"NoSku", [](NewProduct& p) { p.variants[1].sku = ""; }, "/variants/1/sku"},
        Refusal{"RepeatedSku", [](NewProduct& p) { p.variants[1].sku = "POT-R"; },
                "/variants/1/sku"},
        Refusal{"SameOptions", [](NewProduct& p) { p.variants[1].options["Colour"] = "Red"; },
                "/variants/1/options"},
        Refusal{"NoPrice", [](NewProduct& p) { p.variants[0].prices.clear(); },
                "/variants/0/prices"},
        Refusal{"TwoPricesInOneCurrency",
                [](NewProduct& p) { p.variants[0].prices.push_back(Money{1, euro}); },
                "/variants/0/prices/1/currency"},
        Refusal{"NegativePrice", [](NewProduct& p) { p.variants[0].prices = {Money{-1, euro}}; },
                "/variants/0/prices/0/amount"},
        Refusal{"NegativeStock", [](NewProduct& p) { p.variants[0].stock = -1; },
                "/variants/0/stock"},
        Refusal{"StockAboveLimit", [](NewProduct& p) { p.variants[0].stock = on_hand_max + 1; },
                "/variants/0/stock"},
        Refusal{"FourOptions",
                [](NewProduct& p) {
                  p.variants[0].options = {{"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "1"}};
                },
                "/variants/0/options"}),
    [](const auto& refusal) { return refusal.param.name; });

TEST(PatchProduct, ChangesWhatIsNamedAndCountsTheVersion) {
  const auto product = patched(*make_product(teapot()),
                               {.name = "Pot", .category = std::optional<std::string>{}}, later);

  ASSERT_TRUE(product);
  EXPECT_EQ(product->name, "Pot");
  EXPECT_EQ(product->category, std::nullopt);
  EXPECT_EQ(product->tags, (std::vector<std::string>{"tea"}));
  EXPECT_EQ(product->version, 2);
  EXPECT_EQ(product->updated_at, later);
}

TEST(PatchProduct, TouchesTheArchivedOnlyToReviveIt) {
  const Product gone = archived(*make_product(teapot()), later);

  EXPECT_EQ(patched(gone, {.name = "Pot"}, later).error().code, "product_archived");
  EXPECT_EQ(with_prices(gone, variant_id(1), {Money{1, euro}}, later).error().code,
            "product_archived");
  EXPECT_EQ(patched(gone, {.status = Status::draft}, later)->status, Status::draft);
  EXPECT_EQ(archived(gone, noon).version, gone.version);
}

TEST(PatchVariant, RefusesAnothersOptionsAndUnknownVariants) {
  const auto product = *make_product(teapot());

  EXPECT_EQ(with_variant(product, variant_id(1), {.options = Options{{"Colour", "Blue"}}}, later)
                .error()
                .code,
            "invalid_product");
  EXPECT_EQ(with_variant(product, variant_id(9), {.sku = "X"}, later).error().code,
            "variant_not_found");
  EXPECT_EQ(with_variant(product, variant_id(1), {.options = Options{{"Colour", "Green"}}}, later)
                ->variants[0]
                .title,
            "Green");
}

TEST(Handle, IsMadeOfLettersAndDigits) {
  EXPECT_EQ(handle_from("  A & B -- c!"), "a-b-c");
  EXPECT_EQ(handle_from("\xE8\x8C\xB6"), "product");
  EXPECT_EQ(handle_from(std::string(400, 'a')).size(), handle_bytes_max);
  EXPECT_TRUE(valid_handle("\xE8\x8C\xB6-1"));
  EXPECT_FALSE(valid_handle("a b"));
  EXPECT_FALSE(valid_handle(""));
}

}  // namespace
}  // namespace stoa::product
