#include "services/product-service/app/stock.hpp"

#include <gtest/gtest.h>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/testing/run.hpp"

#include "services/product-service/tests/fake_stock_store.hpp"
#include "services/product-service/tests/samples.hpp"

namespace stoa::product {
namespace {

using testing_support::run;

class StockTest : public testing::Test {
 protected:
  StockTest() { shop_.move_stock(variant_, {.delta = 5, .kind = "initial"}); }

  static RequestKey key(char fingerprint = 'a') {
    return {.origin = {}, .caller = "usr_x", .fingerprint = std::string(64, fingerprint)};
  }

  Result<Answer> adjust(std::int64_t delta, std::string reason = "counted",
                        std::optional<RequestKey> with_key = {}) {
    return run(use_cases_.adjust({}, {.variant = variant_,
                                      .delta = delta,
                                      .reason = std::move(reason),
                                      .actor = "usr_x",
                                      .key = std::move(with_key)}));
  }

  std::int64_t on_hand() { return run(use_cases_.level({}, variant_))->on_hand; }

  const VariantId variant_ = new_id<VariantId>();
  FakeShop shop_;
  FakeCatalogueStore keys_{shop_};
  FakeStockStore store_{shop_};
  CountingCache cache_;
  Stock use_cases_{
      keys_, store_, cache_, {.next_uuid = crypto::new_uuid, .render = [](const StockLevel& level) {
                                return Answer{.status = 200,
                                              .headers = "",
                                              .body = std::to_string(level.on_hand)};
                              }}};
};

TEST_F(StockTest, AdjustsWithAReasonForTheJournal) {
  EXPECT_EQ(adjust(-2)->body, "3");
  const auto page = run(use_cases_.movements({}, {.variant = variant_, .limit = 1}));
  EXPECT_EQ(page->movements.at(0).reason, "counted");
  EXPECT_EQ(page->movements.at(0).actor, "usr_x");
  EXPECT_TRUE(page->next);
}

TEST_F(StockTest, RefusesAReasonThatIsNone) {
  for (const std::string& reason : {std::string{}, std::string(501, 'x'), std::string{"a\x01"}}) {
    EXPECT_EQ(adjust(1, reason).error().code, "invalid_adjustment");
  }
  EXPECT_TRUE(adjust(1, std::string(500, 'x')));
  EXPECT_EQ(on_hand(), 6);
}

TEST_F(StockTest, AnswersARepeatedKeyWithTheFirstAnswer) {
  EXPECT_EQ(adjust(1, "counted", key())->body, "6");
  EXPECT_EQ(adjust(1, "counted", key())->body, "6");
  EXPECT_EQ(adjust(2, "counted", key('b')).error().code, "idempotency_key_reused");
  EXPECT_EQ(on_hand(), 6);
}

TEST_F(StockTest, TellsReadersWhenItSellsOutAndComesBack) {
  Product product = *make_product(new_product("Teapot", {0}));
  product.variants[0].id = variant_;
  shop_.put(product);
  ASSERT_TRUE(adjust(-4));
  EXPECT_TRUE(cache_.forgotten.empty());
  ASSERT_TRUE(adjust(-1));
  ASSERT_TRUE(adjust(1));
  EXPECT_EQ(cache_.forgotten, (std::vector{product.id, product.id}));
}

TEST_F(StockTest, KnowsOnlyVariantsThereAre) {
  EXPECT_EQ(run(use_cases_.level({}, new_id<VariantId>())).error().code, "variant_not_found");
}

}  // namespace
}  // namespace stoa::product
