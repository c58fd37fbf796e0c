#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/crypto/crypto.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/private_postgres.hpp"
#include "servicekit/testing/run.hpp"

#include "services/notification-service/adapters/pg_delivery_store.hpp"

namespace stoa::notification {

std::span<const postgres::Migration> migrations();

namespace {

using namespace std::chrono_literals;
using testing_support::PrivatePostgres;
using testing_support::run_on;

const UserId ann{*Uuid::parse("01932f6e-7c00-7000-8000-00000000000a")};
const UserId bob{*Uuid::parse("01932f6e-7c00-7000-8000-00000000000b")};

class DeliveryStoreTest : public testing::Test {
 protected:
  DeliveryStoreTest() { database_.start(); }

  static Notice notice(std::string subject, NoticeKind kind = NoticeKind::order_paid,
                       UserId user = ann) {
    const DeliveryId id{crypto::new_uuid()};
    return {.event = {crypto::new_uuid()},
            .delivery = id,
            .user = user,
            .subject = std::move(subject),
            .kind = kind,
            .content = R"({"n": 1})",
            .message_id = message_id(id, "stoa.test"),
            .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};
  }
  std::vector<Delivery> accept(std::vector<Notice> notices, std::vector<Erasure> erasures = {},
                               Claim claim = {}) {
    return run_on(loops_, store_.accept(soon(), std::move(notices), std::move(erasures), claim));
  }
  std::vector<Delivery> claim(std::size_t count = 10, std::chrono::milliseconds lease = 60s) {
    return run_on(loops_, store_.claim(soon(), {.count_max = count, .lease = lease}));
  }
  static Context soon() { return Context{}.within(10s); }
  std::string sql(const std::string& statements) { return PrivatePostgres::sql(dsn_, statements); }

  Secret<> dsn_ = PrivatePostgres::shared().database(migrations());
  telemetry::Telemetry telemetry_{{.service = "test", .log_level = "off"}};
  Loops loops_{1};
  postgres::Database database_{loops_, {.dsn = dsn_, .application_name = "test"}, telemetry_};
  int woken_ = 0;
  PgDeliveryStore store_{database_, [this] { ++woken_; }};
};

TEST_F(DeliveryStoreTest, HandsOutWhatWasAccepted) {
  const Notice accepted = notice("ord_1");
  accept({accepted});

  const auto claimed = claim();
  ASSERT_EQ(claimed.size(), 1U);
  EXPECT_EQ(claimed[0].id, accepted.delivery);
  EXPECT_EQ(claimed[0].user, ann);
  EXPECT_EQ(claimed[0].subject, "ord_1");
  EXPECT_EQ(claimed[0].kind, NoticeKind::order_paid);
  EXPECT_EQ(claimed[0].content, R"({"n": 1})");
  EXPECT_EQ(claimed[0].message_id, accepted.message_id);
  EXPECT_EQ(claimed[0].trace.traceparent(), accepted.traceparent);
  EXPECT_EQ(claimed[0].failures, 0);
}

TEST_F(DeliveryStoreTest, ClaimsWithTheInsertionWhatTheCallerHasRoomFor) {
  const Notice first = notice("ord_1");
  const Notice second = notice("ord_2");
  const auto claimed = accept({first, second}, {}, {.count_max = 1, .lease = 60s});

  ASSERT_EQ(claimed.size(), 1U);
  EXPECT_EQ(claimed[0].id, first.delivery);
  EXPECT_EQ(claimed[0].subject, "ord_1");
  EXPECT_EQ(claimed[0].trace.traceparent(), first.traceparent);
  const auto due = claim();
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].id, second.delivery);
}

TEST_F(DeliveryStoreTest, ClaimsNothingThatWasThereBefore) {
  const Notice same = notice("ord_1");
  accept({same});
  const Claim two{.count_max = 2, .lease = 60s};

  EXPECT_TRUE(accept({same, notice("ord_1")}, {}, two).empty());
}

TEST_F(DeliveryStoreTest, ClaimsNoMailForWhoIsForgottenInTheSameBatch) {
  const Erasure erasure{.event = {crypto::new_uuid()}, .user = ann};

  EXPECT_TRUE(accept({notice("ord_1")}, {erasure}, {.count_max = 9, .lease = 60s}).empty());
}

TEST_F(DeliveryStoreTest, TakesARepeatedEventOnce) {
  const Notice same = notice("ord_1");
  accept({same, same});
  accept({same});

  EXPECT_EQ(sql("SELECT count(*) FROM deliveries"), "1");
  EXPECT_EQ(sql("SELECT count(*) FROM inbox"), "1");
}

TEST_F(DeliveryStoreTest, WritesOneMailForEachSubjectAndKind) {
  accept({notice("ord_1"), notice("ord_1")});
  accept({notice("ord_1"), notice("ord_1", NoticeKind::order_cancelled), notice("ord_2")});

  EXPECT_EQ(sql("SELECT count(*) FROM deliveries"), "3");
}

TEST_F(DeliveryStoreTest, GivesADeliveryToOneUntilItsLeaseIsOver) {
  accept({notice("ord_1")});

  EXPECT_EQ(claim(10, 0ms).size(), 1U);
  EXPECT_EQ(claim(10, 60s).size(), 1U);
  EXPECT_EQ(claim().size(), 0U);
}

TEST_F(DeliveryStoreTest, GivesNoMoreThanAskedFor) {
  accept({notice("ord_1"), notice("ord_2"), notice("ord_3")});

  EXPECT_EQ(claim(2).size(), 2U);
  EXPECT_EQ(claim(2).size(), 1U);
}

TEST_F(DeliveryStoreTest, EndsADeliveryOnce) {
  accept({notice("ord_1")});
  const auto claimed = claim(1, 0ms);
  run_on(loops_, store_.mark_sent(soon(), {claimed[0].id}));
  run_on(loops_, store_.suppress(soon(), claimed[0].id));
  run_on(loops_, store_.fail(soon(), claimed[0], "late"));

  EXPECT_EQ(sql("SELECT status FROM deliveries"), "sent");
  EXPECT_EQ(sql("SELECT count(*) FROM outbox"), "0");
  EXPECT_EQ(claim().size(), 0U);
}

TEST_F(DeliveryStoreTest, TellsThatItGaveUp) {
  accept({notice("ord_1")});
  const auto claimed = claim();
  run_on(loops_, store_.fail(soon(), claimed[0], "550"));

  EXPECT_EQ(sql("SELECT status || ' ' || failures || ' ' || last_error FROM deliveries"),
            "failed 1 550");
  EXPECT_EQ(sql("SELECT type || ' ' || subject FROM outbox"),
            "notification.failed " + claimed[0].id.str());
  EXPECT_EQ(sql("SELECT data->>'kind' || ' ' || (data->>'subject') FROM outbox"),
            "order_paid ord_1");
  EXPECT_EQ(woken_, 1);
}

TEST_F(DeliveryStoreTest, PostponesAndCountsRefusals) {
  accept({notice("ord_1")});
  const auto id = claim()[0].id;
  run_on(loops_, store_.postpone(soon(), id, {.delay = 0ms, .refusals = 1, .reason = "451"}));
  ASSERT_EQ(claim(10, 0ms)[0].failures, 1);
  run_on(loops_, store_.postpone(soon(), id, {.delay = 60s, .refusals = 0, .reason = "away"}));

  EXPECT_EQ(claim().size(), 0U);
  EXPECT_EQ(sql("SELECT failures || ' ' || last_error FROM deliveries"), "1 away");
}

TEST_F(DeliveryStoreTest, ForgetsAUserAndNobodyElse) {
  accept({notice("ord_1"), notice("ord_2"), notice("ord_3", NoticeKind::order_paid, bob)});
  const auto first = claim(1);
  run_on(loops_, store_.mark_sent(soon(), {first[0].id}));

  accept({}, {{.event = {crypto::new_uuid()}, .user = ann}});

  EXPECT_EQ(sql("SELECT string_agg(status || ' ' || (content IS NULL), ', ' ORDER BY subject) "
                "FROM deliveries"),
            "sent true, suppressed true, pending false");
  const auto left = claim(10, 0ms);
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].user, bob);
}

TEST_F(DeliveryStoreTest, ForgetsWhoComesAndGoesInOneBatch) {
  accept({notice(ann.str(), NoticeKind::user_registered)},
         {{.event = {crypto::new_uuid()}, .user = ann}});

  EXPECT_EQ(sql("SELECT status FROM deliveries"), "suppressed");
}

TEST_F(DeliveryStoreTest, ErasesOldContentsButNoneThatIsStillDue) {
  accept({notice("ord_1"), notice("ord_2"), notice("ord_3")});
  sql("UPDATE deliveries SET status = 'sent', sent_at = now() WHERE subject <> 'ord_3'");
  sql("UPDATE deliveries SET created_at = now() - interval '31 days' WHERE subject <> 'ord_2'");

  run_on(loops_, store_.purge(soon()));

  EXPECT_EQ(sql("SELECT string_agg(subject, ' ' ORDER BY subject) FROM deliveries "
                "WHERE content IS NOT NULL"),
            "ord_2 ord_3");
}

TEST_F(DeliveryStoreTest, CountsWhatIsOpen) {
  accept({notice("ord_1"), notice("ord_2")});
  run_on(loops_, store_.mark_sent(soon(), {claim(1)[0].id}));

  EXPECT_EQ(run_on(loops_, store_.count_open(soon())), 1);
}

}  // namespace
}  // namespace stoa::notification
