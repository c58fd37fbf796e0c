#include "servicekit/postgres/idempotency.hpp"

#include <array>

#include "servicekit/postgres/tests/fixture.hpp"

namespace stoa::postgres {
namespace {

constexpr std::array one_table{
    Migration{.number = 1, .name = "effects", .sql = "CREATE TABLE effects (id int)"}};

class IdempotencyKeys : public DatabaseTest {
 protected:
  IdempotencyKeys() {
    dsn_ = server_.database(one_table);
    open();
  }

  static IdempotencyKey key(char fingerprint = 'a') {
    return {.origin = *Uuid::parse("018f4d2e-7b6a-8c3d-8e5f-0123456789ab"),
            .caller = "usr_1",
            .fingerprint = std::string(64, fingerprint)};
  }

  Rows run(Query query) { return run_on(*loops_, database_->run({}, std::move(query))); }

  bool insert(char fingerprint = 'a') {
    return !run(insert_idempotency_key(key(fingerprint),
                                       {.status = 201, .headers = "etag: \"1\"\r\n", .body = "{}"}))
                .empty();
  }

  Result<std::optional<StoredAnswer>> find(char fingerprint = 'a') {
    const auto wanted = key(fingerprint);
    return stored_answer(run(find_idempotency_key(wanted)), wanted);
  }
};

TEST_F(IdempotencyKeys, AreTakenOnce) {
  EXPECT_FALSE(find()->has_value());
  EXPECT_TRUE(insert());
  EXPECT_FALSE(insert());
  const auto answer = find()->value();
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.headers, "etag: \"1\"\r\n");
  EXPECT_EQ(answer.body, "{}");
}

TEST_F(IdempotencyKeys, AreRefusedForAnotherRequest) {
  ASSERT_TRUE(insert('a'));
  EXPECT_EQ(find('b').error().code, "idempotency_key_reused");
  EXPECT_FALSE(insert('b'));
  EXPECT_TRUE(find('a')->has_value());
}

TEST_F(IdempotencyKeys, AreFreeAgainWhenTheyHaveExpired) {
  ASSERT_TRUE(insert('a'));
  sql("UPDATE idempotency_keys SET expires_at = now() - interval '1 second'");
  EXPECT_FALSE(find('b')->has_value());
  EXPECT_TRUE(insert('b'));
  EXPECT_TRUE(find('b')->has_value());
}

TEST_F(IdempotencyKeys, AreReplayedAsTheyWereStored) {
  const StoredAnswer answer{.status = 201, .headers = "etag: \"1\"\r\n", .body = "{\"a\": 1}"};
  const auto response = answer.replay();
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.body, answer.body);
  EXPECT_EQ(response.headers, "etag: \"1\"\r\nIdempotent-Replayed: true\r\n");
}

TEST_F(IdempotencyKeys, ArePurgedInBoundedSteps) {
  sql("INSERT INTO idempotency_keys SELECT gen_random_uuid(), 'x', '', 201, '', '',"
      " now() + CASE WHEN i <= 5 THEN -1 ELSE 1 END * interval '1 second'"
      " FROM generate_series(1, 7) AS i");
  EXPECT_EQ(run(purge_idempotency_keys(3)).affected(), 3);
  EXPECT_EQ(run(purge_idempotency_keys(3)).affected(), 2);
  EXPECT_EQ(sql("SELECT count(*) FROM idempotency_keys"), "2");
}

TEST_F(IdempotencyKeys, AndInboxRowsAreForgottenAfterTheirTime) {
  sql("INSERT INTO inbox SELECT 'c', gen_random_uuid(), now() - CASE WHEN i <= 5"
      " THEN interval '30 days 1 second' ELSE interval '29 days' END"
      " FROM generate_series(1, 7) AS i");
  EXPECT_EQ(run(purge_inbox(3)).affected(), 3);
  EXPECT_EQ(run(purge_inbox(3)).affected(), 2);
  EXPECT_EQ(sql("SELECT count(*) FROM inbox"), "2");
}

}  // namespace
}  // namespace stoa::postgres
