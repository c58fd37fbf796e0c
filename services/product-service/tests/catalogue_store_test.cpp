#include "services/product-service/adapters/list_query.hpp"
#include "services/product-service/tests/fixture.hpp"

namespace stoa::product {
namespace {

class CatalogueStoreTest : public StoreTest {
 protected:
  ProductPage list(ListQuery query) { return run(catalogue_.list({}, std::move(query))); }

  std::vector<std::string> names(ListQuery query) {
    std::vector<std::string> names;
    for (const Product& product : list(std::move(query)).products) names.push_back(product.name);
    return names;
  }

  std::vector<std::string> found(std::string_view q) {
    ListQuery query{.currency = euro, .sort = Sort::best};
    query.words = words_of(q);
    auto names_found = names(std::move(query));
    std::ranges::sort(names_found);
    return names_found;
  }

  /// Five products, each a minute and a euro more than the one before; the third is sold out.
  void fill() {
    int number = 0;
    for (const char* product_name : {"Cup", "Apron", "Teapot", "Lamp", "Bowl"}) {
      NewProduct product = new_product(product_name, {number == 2 ? 0 : 5});
      product.now = moment(number);
      product.category = number % 2 == 0 ? "kitchen" : "home";
      product.variants[0].prices = {Money{1'000 + 100 * number, euro}};
      store(product);
      ++number;
    }
  }

  Result<Product> change(ProductId id, std::optional<std::int64_t> version,
                         std::function<Result<Product>(Product)> edit) {
    return run(catalogue_.change({}, {.product = id,
                                      .version = version,
                                      .event_id = crypto::new_uuid(),
                                      .edit = std::move(edit)}));
  }
};

using Names = std::vector<std::string>;

TEST_F(CatalogueStoreTest, ReadsBackWhatWasStored) {
  NewProduct wanted = new_product("Teapot", {3, 0});
  wanted.description = "<p>Warm</p>";
  wanted.tags = {"tea", "iron, cast"};
  wanted.variants[0].prices = {Money{1'299, euro}, Money{1'399, dollar}};
  const Product stored = store(wanted);

  const auto read = run(catalogue_.find({}, stored.id));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, stored);
  EXPECT_EQ(run(catalogue_.product_of({}, stored.variants[1].id)), stored.id);
  EXPECT_EQ(run(catalogue_.find({}, new_id<ProductId>())), std::nullopt);
  EXPECT_EQ(broken_stock(), "0");
  EXPECT_EQ(sql("SELECT data->>'product_id' FROM outbox WHERE type = 'product.updated'"),
            stored.id.str());
}

TEST_F(CatalogueStoreTest, RefusesAHandleOrASkuOfAnotherProduct) {
  const Product stored = store(new_product("Teapot", {3}));
  NewProduct twin = new_product("Teapot", {3});
  const auto insert = [&](NewProduct wanted) {
    InsertProduct command{
        .product = *make_product(wanted), .stock = {3}, .event_id = crypto::new_uuid()};
    return run(catalogue_.insert({}, std::move(command)));
  };
  twin.handle = stored.handle;
  EXPECT_EQ(*insert(twin), Inserted::handle_taken);
  twin.handle = "another";
  twin.variants[0].sku = stored.variants[0].sku;
  const auto refused = insert(twin);
  EXPECT_EQ(refused.error().code, "sku_taken");
  EXPECT_EQ(refused.error().fields.at(0).pointer, "/variants/0/sku");
  EXPECT_EQ(sql("SELECT count(*) FROM products"), "1");
}

struct Ordering {
  const char* name;
  Sort sort;
  Names names;
};

class Lists : public CatalogueStoreTest, public testing::WithParamInterface<Ordering> {};

TEST_P(Lists, PageByPageInEveryOrder) {
  fill();
  ListQuery query{.currency = euro, .sort = GetParam().sort, .limit = 2};
  Names all;
  do {
    const ProductPage page = list(query);
    for (const Product& product : page.products) all.push_back(product.name);
    query.after = page.next;
  } while (query.after);

  EXPECT_EQ(all, GetParam().names);
}

INSTANTIATE_TEST_SUITE_P(
    Sorts, Lists,
    testing::Values(
        Ordering{"Newest", Sort::newest, {"Bowl", "Lamp", "Teapot", "Apron", "Cup"}},
        Ordering{"Oldest", Sort::oldest, {"Cup", "Apron", "Teapot", "Lamp", "Bowl"}},
        Ordering{"Cheapest", Sort::cheapest, {"Cup", "Apron", "Teapot", "Lamp", "Bowl"}},
        Ordering{"Dearest", Sort::dearest, {"Bowl", "Lamp", "Teapot", "Apron", "Cup"}},
        Ordering{"Name", Sort::name, {"Apron", "Bowl", "Cup", "Lamp", "Teapot"}},
        Ordering{
            "NameDescending", Sort::name_descending, {"Teapot", "Lamp", "Cup", "Bowl", "Apron"}}),
    [](const auto& ordering) { return ordering.param.name; });

TEST_F(CatalogueStoreTest, FiltersByCategoryPriceAndStockInEveryOrder) {
  fill();
  for (const Sort sort : {Sort::newest, Sort::cheapest, Sort::name}) {
    auto kitchen = names({.category = "kitchen", .currency = euro, .sort = sort});
    std::ranges::sort(kitchen);
    EXPECT_EQ(kitchen, (Names{"Bowl", "Cup", "Teapot"}));
    EXPECT_EQ(names({.category = "kitchen",
                     .currency = euro,
                     .price_min = 1'001,
                     .price_max = 1'399,
                     .sort = sort}),
              (Names{"Teapot"}));
    EXPECT_EQ(names({.category = "kitchen", .currency = euro, .in_stock = false, .sort = sort}),
              (Names{"Teapot"}));
    EXPECT_EQ(names({.currency = euro, .price_max = 1'300, .in_stock = true, .sort = sort}).size(),
              3U);
  }
  EXPECT_TRUE(names({.currency = dollar, .sort = Sort::cheapest}).empty());
}

TEST_F(CatalogueStoreTest, FindsWordsTheirBeginningsAndTheirMisspellings) {
  NewProduct shirt = new_product("Harbour Linen Shirt", {5});
  shirt.tags = {"summer"};
  shirt.description = "Washed in the mill";
  store(shirt);
  store(new_product("Canvas Shirt 8e12", {5}));
  store(new_product("Teapot", {5}));

  EXPECT_EQ(found("shirt"), (Names{"Canvas Shirt 8e12", "Harbour Linen Shirt"}));
  EXPECT_EQ(found("SHIR"), (Names{"Canvas Shirt 8e12", "Harbour Linen Shirt"}));
  EXPECT_EQ(found("shrit"), (Names{"Canvas Shirt 8e12", "Harbour Linen Shirt"}));
  EXPECT_EQ(found("linnen shirt"), (Names{"Harbour Linen Shirt"}));
  EXPECT_EQ(found("summer"), (Names{"Harbour Linen Shirt"}));
  EXPECT_EQ(found("washed"), (Names{"Harbour Linen Shirt"}));
  EXPECT_EQ(found("8e12"), (Names{"Canvas Shirt 8e12"}));
  EXPECT_EQ(found("8e13"), (Names{})) << "codes are meant as they are";
  EXPECT_EQ(found("' | ! & (shirt:*"), (Names{"Canvas Shirt 8e12", "Harbour Linen Shirt"}));
}

TEST_F(CatalogueStoreTest, ChangesOnlyTheVersionThatWasSeen) {
  const Product stored = store(new_product("Teapot", {3}));
  const auto rename = [](Product product) {
    return patched(std::move(product), {.name = "Pot"}, moment(9));
  };

  const auto changed = change(stored.id, 1, rename);
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->version, 2);
  EXPECT_EQ(*run(catalogue_.find({}, stored.id)), *changed);
  EXPECT_EQ(change(stored.id, 1, rename).error().code, "etag_mismatch");
  EXPECT_EQ(change(new_id<ProductId>(), 1, rename).error().code, "product_not_found");
  EXPECT_EQ(found("pot"), (Names{"Pot"}));
}

TEST_F(CatalogueStoreTest, HidesWhatIsArchivedFromListsAndBuyers) {
  const Product stored = store(new_product("Teapot", {3}));
  ASSERT_TRUE(change(stored.id, std::nullopt, [](Product product) {
    return Result<Product>{archived(std::move(product), moment(9))};
  }));

  EXPECT_TRUE(names({.currency = euro}).empty());
  EXPECT_TRUE(found("teapot").empty());
  EXPECT_EQ(run(stock_.reserve({}, wanted({{stored.variants[0].id, 1}}))).error().code,
            "variant_not_found");
  EXPECT_TRUE(run(catalogue_.find({}, stored.id))) << "its history stays";
}

}  // namespace
}  // namespace stoa::product
