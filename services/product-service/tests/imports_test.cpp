#include "services/product-service/app/imports.hpp"

#include <format>
#include <numeric>

#include "services/product-service/adapters/http_imports.hpp"
#include "services/product-service/tests/worlds.hpp"

// One suite for the fake and for PostgreSQL.
namespace stoa::product {
namespace {

class ImportsTest : public WorldTest, public testing::WithParamInterface<Kind> {
 protected:
  ImportsTest() : WorldTest{GetParam()} {}

  ImportStore& imports() { return world_->imports(); }

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

  std::vector<std::string> listed() {
    std::vector<std::string> names;
    ListQuery query{.currency = euro, .sort = Sort::oldest, .limit = 100};
    for (const Product& product : run(world_->catalogue().list({}, query)).products) {
      names.push_back(product.handle);
    }
    return names;
  }

  std::size_t variant_count() { return world_->on_hand().size(); }
  std::int64_t units() {
    const auto all = world_->on_hand();
    return std::accumulate(all.begin(), all.end(), std::int64_t{0});
  }

  CountingCache cache_;
  Imports worker_{imports(), world_->catalogue(), cache_, sources(5, 3)};
};

INSTANTIATE_TEST_SUITE_P(Stores, ImportsTest, testing::Values(Kind::fake, Kind::postgres),
                         [](const auto& kind) { return name(kind.param); });

TEST_P(ImportsTest, StoresProductsWithTheirStockAndJournal) {
  const auto report = finish(upload(header() + rows(23)));

  EXPECT_EQ(report.import.state, ImportState::completed);
  EXPECT_EQ(report.import.created, 23);
  EXPECT_EQ(report.import.rows, 46);
  EXPECT_EQ(report.import.problem_count, 0);
  EXPECT_EQ(listed().size(), 23U);
  EXPECT_EQ(variant_count(), 46U);
  EXPECT_EQ(units(), 46 * 7);
  EXPECT_TRUE(world_->books_agree());
  EXPECT_EQ(world_->told(), 23);
  EXPECT_EQ(cache_.forgotten.size(), 23U) << "readers are told after each step";
  EXPECT_EQ(world_->stored_chunks(), 0);
  EXPECT_EQ(run(worker_.work()).found, false);
}

TEST_P(ImportsTest, TellsBrokenRowsAndLosesNothingElse) {
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

TEST_P(ImportsTest, ChangesNothingTheSecondTime) {
  finish(upload(header() + rows(6)));
  const auto report = finish(upload(header() + rows(6, 99)));

  EXPECT_EQ(report.import.unchanged, 6);
  EXPECT_EQ(units(), 12 * 7) << "quantities count for new variants only";
  EXPECT_EQ(world_->told(), 6);
}

TEST_P(ImportsTest, SetsStockWhenAskedButNeverBelowWhatIsReserved) {
  finish(upload(header() + rows(2)));
  ListQuery query{.words = {"0"}, .currency = euro, .sort = Sort::best};
  const auto found = run(world_->catalogue().list({}, std::move(query)));
  ASSERT_TRUE(reserve(wanted({{found.products.at(0).variants.at(0).id, 5}})));

  const auto report = finish(upload(header() + rows(2, 4), true));

  EXPECT_EQ(report.import.refused, 1);
  EXPECT_EQ(report.problems.at(0).code, "stock_below_reserved");
  EXPECT_EQ(units(), 2 * 7 + 2 * 4) << "all or nothing: its sibling is left alone, too";
  EXPECT_TRUE(world_->books_agree());
}

TEST_P(ImportsTest, TakesTheLastQuantityOfAHandleThatComesAgain) {
  finish(upload(header() + rows(2)));
  const std::string text = header() +
                           "p-0,P,Size,S,S-0,10.50,9\r\n"
                           "new,New,,,N,1,3\r\n"
                           "p-0,P,Size,S,S-0,10.50,4\r\n"
                           "new,New,,,N,1,6\r\n"
                           "p-1,P,Size,S,S-1,10.50,8\r\n"
                           "p-0,P,Size,S,S-0,10.50,5\r\n"
                           "p-1,P,Size,S,S-1,10.50,7\r\n";
  const auto report = finish(upload(text, true));

  EXPECT_EQ(report.import.refused, 0);
  auto on_hand = world_->on_hand();
  std::ranges::sort(on_hand);
  EXPECT_EQ(on_hand, (std::vector<std::int64_t>{5, 6, 7, 7, 7}));
  EXPECT_TRUE(world_->books_agree());
}

TEST_P(ImportsTest, GoesOnBehindTheLastStepOfAWorkerThatDied) {
  const ImportId id = upload(header() + rows(30));
  ASSERT_TRUE(run(worker_.work()).found);
  ASSERT_EQ(listed().size(), 15U);
  // The next worker claims it and dies before its first step.
  ASSERT_TRUE(run(imports().claim({}, crypto::new_uuid())));
  EXPECT_FALSE(run(worker_.work()).found) << "leased";
  world_->end_leases();

  const auto report = finish(id);

  EXPECT_EQ(report.import.created, 30);
  EXPECT_EQ(report.import.rows, 60);
  EXPECT_EQ(variant_count(), 60U);
  EXPECT_TRUE(world_->books_agree());
}

TEST_P(ImportsTest, StoresNothingOnceAnotherWorkerHasTheImport) {
  const ImportId id = upload(header() + rows(3));
  const Uuid slow = crypto::new_uuid();
  ASSERT_TRUE(run(imports().claim({}, slow)));
  world_->end_leases();
  ASSERT_TRUE(run(imports().claim({}, crypto::new_uuid())));

  const auto late = run(imports().store(
      {}, {.import = id, .worker = slow, .next_uuid = crypto::new_uuid, .now = moment(0)}));
  EXPECT_FALSE(late.leased);
  run(imports().hand_back({}, id, slow));
  run(imports().finish({}, id, slow, ""));
  EXPECT_EQ(run(worker_.find({}, id))->import.state, ImportState::running);
  EXPECT_FALSE(run(worker_.work()).found) << "nor does it end the other's lease";
}

TEST_P(ImportsTest, LeavesNothingOfAnUploadThatWasDiscarded) {
  auto upload = run(worker_.begin({}, euro, false, "usr_x"));
  run(worker_.append({}, &upload, "Handle\n"));
  EXPECT_EQ(run(worker_.find({}, upload.import.id)).error().code, "import_not_found");
  EXPECT_FALSE(run(worker_.work()).found);

  run(worker_.discard({}, upload.import.id));
  EXPECT_EQ(world_->stored_chunks(), 0);
}

TEST_P(ImportsTest, FailsAsAWholeWithoutAHandleColumnOrContent) {
  EXPECT_EQ(finish(upload("Title,Price\nx,1\n")).import.state, ImportState::failed);
  EXPECT_EQ(finish(upload("")).import.state, ImportState::failed);
}

TEST_P(ImportsTest, DiscardsOnlyWhatWasImported) {
  const ImportId id = upload(header() + rows(3));
  run(worker_.discard({}, id));
  EXPECT_EQ(finish(id).import.created, 3) << "what was answered 202 is not discarded";
}

TEST_P(ImportsTest, RemovesUploadsWhoseProcessDied) {
  const auto begun = [&](Instant at) {
    Import import{.id = new_id<ImportId>(), .currency = euro, .caller = "usr_x", .created_at = at};
    run(imports().begin_upload({}, import));
    run(imports().append({}, import.id, 0, "Handle\n"));
  };
  begun(Instant{});
  begun(Instant{std::chrono::days{365 * 200}});

  EXPECT_EQ(run(worker_.discard_stale({})), 1);
  EXPECT_EQ(world_->stored_chunks(), 1) << "the other may still be sent";
}

TEST_P(ImportsTest, AnswersARepeatedKeyWithTheFirstImport) {
  const RequestKey key{
      .origin = crypto::new_uuid(), .caller = "usr_x", .fingerprint = std::string(64, 'a')};
  const auto complete = [&](const RequestKey& with) {
    auto upload = run(worker_.begin({}, euro, false, "usr_x"));
    run(worker_.append({}, &upload, header() + rows(1)));
    return run(worker_.complete({}, std::move(upload), "00", with));
  };
  const auto first = complete(key);
  const auto again = complete(key);
  ASSERT_TRUE(first && again);
  EXPECT_EQ(again->body, first->body);
  EXPECT_EQ(world_->stored_chunks(), 1) << "the second upload is gone";
  RequestKey other = key;
  other.fingerprint = std::string(64, 'b');
  EXPECT_EQ(complete(other).error().code, "idempotency_key_reused");
  EXPECT_EQ(world_->stored_chunks(), 1);
}

TEST_P(ImportsTest, GivesUpWhatKillsItsWorkers) {
  const ImportId id = upload(header() + rows(3));
  for (int death = 0; death < 5; ++death) {
    ASSERT_TRUE(run(imports().claim({}, crypto::new_uuid())));
    world_->end_leases();
  }
  const auto report = finish(id);
  EXPECT_EQ(report.import.state, ImportState::failed);
  EXPECT_NE(report.import.failure, "");
  EXPECT_TRUE(listed().empty());
  EXPECT_FALSE(run(worker_.work()).found);
}

TEST_P(ImportsTest, TellsTheFirstThousandProblemsAndCountsAll) {
  std::string text = header();
  for (int i = 0; i < 1'003; ++i) text += std::format("p-{0},P,,,S-{0},free,1\r\n", i);
  const auto report = finish(upload(text));
  EXPECT_EQ(report.import.problem_count, 1'003);
  EXPECT_EQ(report.problems.size(), 1'000U);
  EXPECT_EQ(report.problems.back().line, 1'001);
}

}  // namespace
}  // namespace stoa::product
