#include "services/product-service/app/imports.hpp"

#include <filesystem>
#include <format>

#include "services/product-service/adapters/http_imports.hpp"
#include "services/product-service/tests/fixture.hpp"

namespace stoa::product {
namespace {

struct NoCache final : CatalogueCache {
  Task<> forget(Context, std::vector<ProductId>) override { co_return; }
};

class ImportsTest : public StoreTest {
 protected:
  Imports::Sources sources(std::size_t products_per_step, std::size_t steps_per_turn) {
    return {.next_uuid = crypto::new_uuid,
            .now = [] { return moment(0); },
            .render_accepted = render_accepted,
            .products_per_step = products_per_step,
            .steps_per_turn = steps_per_turn};
  }

  ImportId upload(const std::string& text, bool set_stock = false) {
    auto upload = run(worker_.begin({}, euro, set_stock, "usr_x"));
    const ImportId id = upload.import.id;
    constexpr std::size_t piece = 1'000;
    for (std::size_t at = 0; at < text.size(); at += piece) {
      run(worker_.append({}, &upload, text.substr(at, piece)));
    }
    const auto answer = run(worker_.complete({}, std::move(upload), "00", std::nullopt));
    EXPECT_TRUE(answer);
    EXPECT_EQ(answer->status, 202);
    return id;
  }

  ImportReport finish(ImportId id) {
    for (int turn = 0; turn < 100; ++turn) {
      const auto worked = run(worker_.work());
      if (worked.finished) break;
    }
    return *run(worker_.find({}, id));
  }

  static std::string header() {
    return "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Inventory "
           "Qty\r\n";
  }

  /// `count` products of two variants each.
  static std::string rows(int count, int quantity = 7) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      text += std::format("p-{0},\"Product\n{0}\",Size,S,S-{0},10.50,{1}\r\n", i, quantity);
      text += std::format("p-{0},,,M,M-{0},11,{1}\r\n", i, quantity);
    }
    return text;
  }

  NoCache cache_;
  Imports worker_{imports_, catalogue_, cache_, sources(5, 3)};
};

TEST_F(ImportsTest, StoresProductsWithTheirStockAndJournal) {
  const auto report = finish(upload(header() + rows(23)));

  EXPECT_EQ(report.import.state, ImportState::completed);
  EXPECT_EQ(report.import.created, 23);
  EXPECT_EQ(report.import.rows, 46);
  EXPECT_EQ(report.import.problem_count, 0);
  EXPECT_EQ(sql("SELECT count(*) FROM variants"), "46");
  EXPECT_EQ(sql("SELECT sum(on_hand) FROM stock"), std::to_string(46 * 7));
  EXPECT_EQ(broken_stock(), "0");
  EXPECT_EQ(sql("SELECT count(*) FROM import_chunks"), "0");
  EXPECT_EQ(run(worker_.work()).found, false);
}

TEST_F(ImportsTest, TellsBrokenRowsAndLosesNothingElse) {
  const std::string broken =
      "bad-price,Bad,,,X-1,free,1\r\n"
      "bad-quote,\"Bad,,,X-2,1,1\r\n"
      "taken,Bad,,,S-3,1,1\r\n";
  const auto report = finish(upload(header() + rows(6) + broken + "last,Last,,,L-1,1,1\r\n"));

  EXPECT_EQ(report.import.state, ImportState::completed);
  EXPECT_EQ(report.import.created, 7);
  EXPECT_EQ(report.import.refused, 3);
  ASSERT_EQ(report.problems.size(), 3U);
  EXPECT_EQ(report.problems[0].code, "price_invalid");
  EXPECT_EQ(report.problems[0].line, 20);
  EXPECT_EQ(report.problems[0].column, "Variant Price");
  EXPECT_EQ(report.problems[1].code, "unterminated_quote");
  EXPECT_EQ(report.problems[1].line, 21);
  EXPECT_EQ(report.problems[1].column, "Title");
  EXPECT_EQ(report.problems[2].code, "sku_taken");
  EXPECT_EQ(report.problems[2].line, 22);
}

TEST_F(ImportsTest, ChangesNothingTheSecondTime) {
  finish(upload(header() + rows(6)));
  const auto report = finish(upload(header() + rows(6, 99)));

  EXPECT_EQ(report.import.unchanged, 6);
  EXPECT_EQ(sql("SELECT sum(on_hand) FROM stock"), std::to_string(12 * 7))
      << "quantities count for new variants only";
}

TEST_F(ImportsTest, SetsStockWhenAskedButNeverBelowWhatIsReserved) {
  finish(upload(header() + rows(2)));
  const VariantId held{*Uuid::parse(sql("SELECT id FROM variants WHERE sku = 'S-0'"))};
  ASSERT_TRUE(run(stock_.reserve({}, wanted({{held, 5}}))));

  const auto report = finish(upload(header() + rows(2, 4), true));

  EXPECT_EQ(report.import.refused, 1);
  EXPECT_EQ(report.problems.at(0).code, "stock_below_reserved");
  EXPECT_EQ(on_hand(held), 7) << "all or nothing: its sibling is left alone, too";
  EXPECT_EQ(sql("SELECT sum(on_hand) FROM stock"), std::to_string(2 * 7 + 2 * 4));
  EXPECT_EQ(broken_stock(), "0");
}

TEST_F(ImportsTest, GoesOnBehindTheLastStepOfAWorkerThatDied) {
  const ImportId id = upload(header() + rows(30));
  ASSERT_TRUE(run(worker_.work()).found);
  const std::string done = sql("SELECT count(*) FROM products");
  ASSERT_EQ(done, "15");
  // The next worker claims it and dies before its first step.
  ASSERT_TRUE(run(imports_.claim({}, crypto::new_uuid())));
  EXPECT_FALSE(run(worker_.work()).found) << "leased";
  sql("UPDATE imports SET lease_until = now() - interval '1 second'");

  const auto report = finish(id);

  EXPECT_EQ(report.import.created, 30);
  EXPECT_EQ(report.import.rows, 60);
  EXPECT_EQ(sql("SELECT count(*) FROM variants"), "60");
  EXPECT_EQ(broken_stock(), "0");
}

TEST_F(ImportsTest, StoresNothingOnceAnotherWorkerHasTheImport) {
  const ImportId id = upload(header() + rows(3));
  const Uuid slow = crypto::new_uuid();
  ASSERT_TRUE(run(imports_.claim({}, slow)));
  sql("UPDATE imports SET lease_until = now() - interval '1 second'");
  ASSERT_TRUE(run(imports_.claim({}, crypto::new_uuid())));

  const auto late = run(imports_.store(
      {}, {.import = id, .worker = slow, .next_uuid = crypto::new_uuid, .now = moment(0)}));
  EXPECT_FALSE(late.leased);
}

TEST_F(ImportsTest, LeavesNothingOfAnUploadThatWasDiscarded) {
  auto upload = run(worker_.begin({}, euro, false, "usr_x"));
  run(worker_.append({}, &upload, "Handle\n"));
  EXPECT_EQ(run(worker_.find({}, upload.import.id)).error().code, "import_not_found");
  EXPECT_FALSE(run(worker_.work()).found);

  run(worker_.discard({}, upload.import.id));
  EXPECT_EQ(sql("SELECT (SELECT count(*) FROM imports) + (SELECT count(*) FROM import_chunks)"),
            "0");
}

TEST_F(ImportsTest, FailsAsAWholeWithoutAHandleColumnOrContent) {
  EXPECT_EQ(finish(upload("Title,Price\nx,1\n")).import.state, ImportState::failed);
  EXPECT_EQ(finish(upload("")).import.state, ImportState::failed);
}

}  // namespace
}  // namespace stoa::product
