#include "services/product-service/adapters/list_query.hpp"
#include "services/product-service/tests/worlds.hpp"

// One suite for the fake and for PostgreSQL.
namespace stoa::product {
namespace {

class CatalogueStoreSuite : public WorldTest {
 protected:
  explicit CatalogueStoreSuite(Kind kind) : WorldTest{kind} {}

  CatalogueStore& catalogue() { return world_->catalogue(); }

  ProductPage list(ListQuery query) { return run(catalogue().list({}, std::move(query))); }

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
    return run(catalogue().change({}, {.product = id,
                                       .version = version,
                                       .event_id = crypto::new_uuid(),
                                       .edit = std::move(edit)}));
  }

  static InsertProduct insertion(NewProduct wanted_product) {
    return {.product = *make_product(wanted_product), .stock = {3}, .event_id = crypto::new_uuid()};
  }
};

class CatalogueStoreTest : public CatalogueStoreSuite, public testing::WithParamInterface<Kind> {
 protected:
  CatalogueStoreTest() : CatalogueStoreSuite{GetParam()} {}
};

INSTANTIATE_TEST_SUITE_P(Stores, CatalogueStoreTest, testing::Values(Kind::fake, Kind::postgres),
                         [](const auto& kind) { return name(kind.param); });

using Names = std::vector<std::string>;

TEST_P(CatalogueStoreTest, ReadsBackWhatWasStored) {
  NewProduct wanted = new_product("Teapot", {3, 0});
  wanted.description = "<p>Warm</p>";
  wanted.tags = {"tea", "iron, cast"};
  wanted.variants[0].prices = {Money{1'299, euro}, Money{1'399, dollar}};
  const Product stored = store(wanted);

  const auto read = run(catalogue().find({}, stored.id));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, stored);
  EXPECT_EQ(run(catalogue().product_of({}, stored.variants[1].id)), stored.id);
  EXPECT_EQ(run(catalogue().find({}, new_id<ProductId>())), std::nullopt);
  EXPECT_TRUE(world_->books_agree());
  EXPECT_EQ(world_->told(), 1);
}

TEST_P(CatalogueStoreTest, RefusesAHandleOrASkuOfAnotherProduct) {
  const Product stored = store(new_product("Teapot", {3}));
  NewProduct twin = new_product("Teapot", {3});
  const auto insert = [&](NewProduct wanted_product) {
    return run(catalogue().insert({}, insertion(std::move(wanted_product))));
  };
  twin.handle = stored.handle;
  EXPECT_EQ(*insert(twin), Inserted::handle_taken);
  twin.handle = "another";
  twin.variants[0].sku = stored.variants[0].sku;
  const auto refused = insert(twin);
  EXPECT_EQ(refused.error().code, "sku_taken");
  EXPECT_EQ(refused.error().fields.at(0).pointer, "/variants/0/sku");
  EXPECT_EQ(run(catalogue().find({}, twin.id)), std::nullopt);
  EXPECT_EQ(world_->told(), 1);
}

TEST_P(CatalogueStoreTest, KeepsTheFirstAnswerOfAKey) {
  const RequestKey key{
      .origin = crypto::new_uuid(), .caller = "usr_x", .fingerprint = std::string(64, 'a')};
  const auto insert = [&](const char* product_name) {
    InsertProduct command = insertion(new_product(product_name, {3}));
    command.key = key;
    command.answer = {.status = 201, .headers = "location: /x\r\n", .body = product_name};
    return *run(catalogue().insert({}, std::move(command)));
  };
  EXPECT_EQ(*run(catalogue().look_up({}, key)), std::nullopt);
  EXPECT_EQ(insert("Teapot"), Inserted::stored);
  EXPECT_EQ(insert("Cup"), Inserted::key_taken);

  const auto answer = **run(catalogue().look_up({}, key));
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.headers, "location: /x\r\nIdempotent-Replayed: true\r\n");
  EXPECT_EQ(answer.body, "Teapot");
  RequestKey reused = key;
  reused.fingerprint = std::string(64, 'b');
  EXPECT_EQ(run(catalogue().look_up({}, reused)).error().code, "idempotency_key_reused");
  EXPECT_EQ(names({.currency = euro}), (Names{"Teapot"}));
}

struct Ordering {
  const char* title;
  Sort sort;
  Names names;
};

class Lists : public CatalogueStoreSuite,
              public testing::WithParamInterface<std::tuple<Kind, Ordering>> {
 protected:
  Lists() : CatalogueStoreSuite{std::get<Kind>(GetParam())} {}
};

TEST_P(Lists, PageByPageInEveryOrder) {
  fill();
  const Ordering& ordering = std::get<Ordering>(GetParam());
  ListQuery query{.currency = euro, .sort = ordering.sort, .limit = 2};
  Names all;
  do {
    const ProductPage page = list(query);
    for (const Product& product : page.products) all.push_back(product.name);
    query.after = page.next;
  } while (query.after);

  EXPECT_EQ(all, ordering.names);
}

const Names by_name{"Apron", "Bowl", "Cup", "Lamp", "Teapot"};
const Names by_number{"Cup", "Apron", "Teapot", "Lamp", "Bowl"};

Names reversed(Names names) {
  std::ranges::reverse(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(
    Sorts, Lists,
    testing::Combine(testing::Values(Kind::fake, Kind::postgres),
                     testing::Values(Ordering{"Newest", Sort::newest, reversed(by_number)},
                                     Ordering{"Oldest", Sort::oldest, by_number},
                                     Ordering{"Cheapest", Sort::cheapest, by_number},
                                     Ordering{"Dearest", Sort::dearest, reversed(by_number)},
                                     Ordering{"Name", Sort::name, by_name},
                                     Ordering{"NameDescending", Sort::name_descending,
                                              reversed(by_name)})),
    [](const auto& both) {
      return name(std::get<Kind>(both.param)) + std::get<Ordering>(both.param).title;
    });

TEST_P(CatalogueStoreTest, FiltersByCategoryPriceAndStockInEveryOrder) {
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

TEST_P(CatalogueStoreTest, CountsWhatAllPagesHoldWhenAsked) {
  fill();
  const auto total = [&](ListQuery query) {
    query.limit = 1;
    query.with_total = true;
    const ProductPage first = list(query);
    query.after = first.next;
    EXPECT_TRUE(!query.after || list(query).total == first.total) << "the same on every page";
    return first.total;
  };
  EXPECT_EQ(total({.currency = euro}), ListTotal{5});
  EXPECT_EQ(total({.category = "kitchen", .currency = euro, .sort = Sort::name}), ListTotal{3});
  EXPECT_EQ(total({.currency = euro, .price_max = 1'100, .in_stock = true}), ListTotal{2});
  EXPECT_EQ(total({.currency = dollar, .sort = Sort::cheapest}), ListTotal{0});
  EXPECT_EQ(
      total({.words = {"teapto"}, .category = "kitchen", .currency = euro, .sort = Sort::best}),
      ListTotal{1});
  EXPECT_EQ(list({.currency = euro}).total, std::nullopt);
}

TEST_P(CatalogueStoreTest, FindsWordsTheirBeginningsAndTheirMisspellings) {
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

TEST_P(CatalogueStoreTest, ChangesOnlyTheVersionThatWasSeen) {
  const Product stored = store(new_product("Teapot", {3}));
  const auto rename = [](Product product) {
    return patched(std::move(product), {.name = "Pot"}, moment(9));
  };

  const auto changed = change(stored.id, 1, rename);
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->version, 2);
  EXPECT_EQ(*run(catalogue().find({}, stored.id)), *changed);
  EXPECT_EQ(change(stored.id, 1, rename).error().code, "etag_mismatch");
  EXPECT_EQ(change(new_id<ProductId>(), 1, rename).error().code, "product_not_found");
  EXPECT_EQ(found("pot"), (Names{"Pot"}));
  EXPECT_EQ(world_->told(), 2) << "a refused edit is no news";
}

TEST_P(CatalogueStoreTest, TellsNothingWhereNothingChanges) {
  const Product stored = store(new_product("Teapot", {3}));
  const auto same = change(stored.id, 1, [](Product product) { return Result<Product>{product}; });
  EXPECT_EQ(same->version, 1);
  EXPECT_EQ(world_->told(), 1);
}

TEST_P(CatalogueStoreTest, RefusesToRenameAVariantToASkuThatIsTaken) {
  const Product first = store(new_product("Teapot", {3}));
  const Product second = store(new_product("Cup", {3}));
  const auto refused = change(second.id, 1, [&](Product product) {
    return with_variant(std::move(product), second.variants[0].id, {.sku = first.variants[0].sku},
                        moment(9));
  });
  EXPECT_EQ(refused.error().code, "sku_taken");
  EXPECT_EQ(*run(catalogue().find({}, second.id)), second);
}

TEST_P(CatalogueStoreTest, HidesWhatIsArchivedFromListsAndBuyers) {
  const Product stored = store(new_product("Teapot", {3}));
  ASSERT_TRUE(change(stored.id, std::nullopt, [](Product product) {
    return Result<Product>{archived(std::move(product), moment(9))};
  }));

  EXPECT_TRUE(names({.currency = euro}).empty());
  EXPECT_TRUE(found("teapot").empty());
  EXPECT_TRUE(run(catalogue().find({}, stored.id))) << "its history stays";
}

class LongListTest : public CatalogueStoreSuite {
 protected:
  LongListTest() : CatalogueStoreSuite{Kind::postgres} {}
};

TEST_F(LongListTest, IsCountedToALimit) {
  const auto add = [&](std::int64_t from, std::int64_t to) {
    static_cast<PgWorld&>(*world_).sql(
        std::format("INSERT INTO products (id, handle, name, status, created_at, updated_at)"
                    " SELECT gen_random_uuid(), 'p-' || n, 'Cup', 'active', now(), now()"
                    " FROM generate_series({}, {}) AS n",
                    from, to));
    return *list({.currency = euro, .limit = 1, .with_total = true}).total;
  };
  EXPECT_EQ(add(1, list_counted_max), (ListTotal{.count = list_counted_max, .exact = true}));
  EXPECT_EQ(add(0, 0), (ListTotal{.count = list_counted_max, .exact = false}));
}

}  // namespace
}  // namespace stoa::product
