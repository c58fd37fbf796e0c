#include "services/product-service/app/catalogue.hpp"

#include <tuple>

#include <gtest/gtest.h>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/testing/run.hpp"

#include "services/product-service/tests/fake_shop.hpp"
#include "services/product-service/tests/samples.hpp"

namespace stoa::product {
namespace {

using testing_support::run;

/// A twin of the request takes the key between its look-up and its insert.
class RacedStore final : public FakeCatalogueStore {
 public:
  explicit RacedStore(FakeShop& shop) : FakeCatalogueStore{shop} {}

  std::function<void()> twin{};
  bool twin_is_seen = true;

  Task<Result<std::optional<Answer>>> look_up(Context context, RequestKey key) override {
    const auto seen = co_await FakeCatalogueStore::look_up(std::move(context), std::move(key));
    if (auto once = std::exchange(twin, nullptr)) once();
    if (!twin_is_seen) co_return std::optional<Answer>{};
    co_return seen;
  }
};

class CatalogueTest : public testing::Test {
 protected:
  static RequestKey key(char fingerprint = 'a') {
    Uuid origin;
    origin.bytes[0] = 7;
    return {.origin = origin, .caller = "usr_x", .fingerprint = std::string(64, fingerprint)};
  }

  Result<Answer> create(std::string product_name, std::optional<RequestKey> with_key = {},
                        std::optional<std::string> handle = {}) {
    NewProduct product = new_product(std::move(product_name), {3});
    product.handle = std::move(handle);
    return run(catalogue_.create(
        {}, {.product = std::move(product), .actor = "usr_x", .key = std::move(with_key)}));
  }

  const Product& only() const { return shop_.products.begin()->second; }

  FakeShop shop_;
  RacedStore store_{shop_};
  CountingCache cache_;
  Catalogue catalogue_{store_,
                       cache_,
                       {.next_uuid = crypto::new_uuid,
                        .now = [] { return moment(0); },
                        .render_created =
                            [](const Product& product) {
                              return Answer{.status = 201, .headers = "", .body = product.handle};
                            }}};
};

TEST_F(CatalogueTest, CreatesAProductWithItsStockAndTellsReaders) {
  ASSERT_TRUE(create("Teapot"));

  EXPECT_EQ(only().created_at, moment(0));
  EXPECT_EQ(shop_.stock.at(only().variants.at(0).id).on_hand, 3);
  EXPECT_EQ(cache_.forgotten, std::vector{only().id});
}

TEST_F(CatalogueTest, AnswersARepeatedKeyWithTheFirstAnswer) {
  const auto first = create("Teapot", key());
  const auto again = create("Teapot", key());

  EXPECT_EQ(again->body, first->body);
  EXPECT_TRUE(again->headers.contains("Idempotent-Replayed"));
  EXPECT_EQ(shop_.products.size(), 1U);
  EXPECT_EQ(create("Cup", key('b')).error().code, "idempotency_key_reused");
}

TEST_F(CatalogueTest, AnswersAsItsTwinDid) {
  store_.twin = [&] {
    shop_.keep_key(key(), {.status = 201, .headers = "", .body = "the twin's"});
  };
  EXPECT_EQ(create("Teapot", key())->body, "the twin's");
  EXPECT_TRUE(shop_.products.empty());
}

TEST_F(CatalogueTest, IsUnavailableWhileItsTwinHoldsTheKey) {
  store_.twin = [&] { shop_.keep_key(key(), {}); };
  store_.twin_is_seen = false;
  EXPECT_THROW(std::ignore = create("Teapot", key()), Unavailable);
  EXPECT_TRUE(cache_.forgotten.empty());
}

TEST_F(CatalogueTest, MakesAHandleDistinctUnlessItWasAskedFor) {
  EXPECT_EQ(create("Teapot")->body, "teapot");
  const auto second = create("Teapot");
  EXPECT_TRUE(second->body.starts_with("teapot-")) << second->body;
  EXPECT_EQ(create("Other", {}, "teapot").error().code, "handle_taken");
  EXPECT_EQ(shop_.products.size(), 2U);
}

TEST_F(CatalogueTest, ChangesAVariantThroughItsProduct) {
  ASSERT_TRUE(create("Teapot"));
  const VariantId variant = only().variants.at(0).id;
  cache_.forgotten.clear();

  const auto changed = run(catalogue_.set_prices({}, variant, 1, {Money{5, euro}}));
  EXPECT_EQ(changed->version, 2);
  EXPECT_EQ(changed->variants[0].prices, std::vector({Money{5, euro}}));
  EXPECT_EQ(cache_.forgotten, std::vector{changed->id});
  EXPECT_EQ(run(catalogue_.patch_variant({}, variant, 1, {.sku = "X"})).error().code,
            "etag_mismatch");
  EXPECT_EQ(run(catalogue_.patch_variant({}, new_id<VariantId>(), 1, {.sku = "X"})).error().code,
            "variant_not_found");
  EXPECT_EQ(cache_.forgotten.size(), 1U) << "a refusal is no news";
}

TEST_F(CatalogueTest, ArchivesOnceAndRevives) {
  ASSERT_TRUE(create("Teapot"));
  const ProductId id = only().id;

  EXPECT_EQ(run(catalogue_.archive({}, id, 1))->status, Status::archived);
  EXPECT_EQ(run(catalogue_.archive({}, id, 2))->version, 2) << "nothing is left to change";
  EXPECT_EQ(run(catalogue_.patch({}, id, 2, {.name = "Pot"})).error().code, "product_archived");
  EXPECT_EQ(run(catalogue_.patch({}, id, 2, {.status = Status::active}))->version, 3);
  EXPECT_TRUE(run(catalogue_.list({}, {.currency = euro})).products.size() == 1);
}

}  // namespace
}  // namespace stoa::product
