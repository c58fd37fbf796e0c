#include "servicekit/postgres/migrations.hpp"

#include <array>
#include <format>
#include <future>

#include <gtest/gtest.h>

#include "servicekit/testing/private_postgres.hpp"

namespace stoa::postgres {
namespace {

using testing_support::PrivatePostgres;

constexpr std::array two_steps{
    Migration{.number = 1, .name = "first", .sql = "CREATE TABLE first (id int)"},
    Migration{.number = 2,
              .name = "second",
              .sql = "CREATE TABLE second (id int);"
                     "INSERT INTO second VALUES (1), (2)"},
};

class Migrations : public testing::Test {
 protected:
  std::string sql(const std::string& statements) { return PrivatePostgres::sql(dsn_, statements); }
  std::string refusal(std::span<const Migration> migrations) {
    try {
      migrate(dsn_, migrations);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  }

  Secret<> dsn_ = PrivatePostgres::shared().database();
};

TEST_F(Migrations, BringTheKitsTablesAndTheServices) {
  EXPECT_EQ(schema_version(dsn_), 0);
  migrate(dsn_, two_steps);
  EXPECT_EQ(schema_version(dsn_), 2);
  EXPECT_EQ(sql("SELECT count(*) FROM second, outbox, inbox, idempotency_keys"), "0");
  EXPECT_EQ(sql("SELECT count(*) FROM schema_migrations WHERE set_name = 'servicekit'"), "2");
}

TEST_F(Migrations, RunTwiceChangeNothing) {
  migrate(dsn_, two_steps);
  migrate(dsn_, two_steps);
  EXPECT_EQ(sql("SELECT count(*) FROM second"), "2");
}

TEST_F(Migrations, ApplyOnlyWhatIsMissing) {
  migrate(dsn_, std::span{two_steps}.first(1));
  EXPECT_EQ(schema_version(dsn_), 1);
  migrate(dsn_, two_steps);
  EXPECT_EQ(schema_version(dsn_), 2);
}

// A release may bring a step of servicekit's alone: its tables are as needed as the service's.
TEST_F(Migrations, AreNotThereWithoutTheKitsLastStep) {
  migrate(dsn_, two_steps);
  sql("DELETE FROM schema_migrations WHERE set_name = 'servicekit' AND number = 2");
  EXPECT_EQ(schema_version(dsn_), 0);
  sql("INSERT INTO schema_migrations (set_name, number, name, sha256)"
      " VALUES ('servicekit', 2, '', ''), ('servicekit', 3, 'of the next version', '')");
  EXPECT_EQ(schema_version(dsn_), 2);
}

// What a rollback's migrator meets.
TEST_F(Migrations, LeaveANewerSchemaAsItIs) {
  migrate(dsn_, two_steps);
  migrate(dsn_, std::span{two_steps}.first(1));
  EXPECT_EQ(schema_version(dsn_), 2);
  EXPECT_EQ(sql("SELECT count(*) FROM second"), "2");
}

TEST_F(Migrations, RefuseAChangedStep) {
  migrate(dsn_, std::span{two_steps}.first(1));
  auto changed = two_steps;
  changed[0].sql = "CREATE TABLE first (id bigint)";
  EXPECT_NE(refusal(changed).find("was changed after it was applied"), std::string::npos);
  EXPECT_EQ(schema_version(dsn_), 1) << "nothing after the changed step may be applied";
}

TEST_F(Migrations, UndoAStepThatFails) {
  auto broken = two_steps;
  broken[1].sql = "CREATE TABLE second (id int); SELECT 1 / 0";
  EXPECT_NE(refusal(broken).find("second"), std::string::npos);
  EXPECT_EQ(schema_version(dsn_), 1);
  EXPECT_EQ(sql("SELECT to_regclass('second') IS NULL"), "t");
}

TEST_F(Migrations, GiveUpOnALockedTableAndLeaveIt) {
  migrate(dsn_, std::span{two_steps}.first(1));
  auto blocked = two_steps;
  blocked[1].sql = "SET LOCAL lock_timeout = '100ms'; ALTER TABLE first ADD COLUMN name text";
  auto holder = std::async(std::launch::async,
                           [this] { sql("BEGIN; LOCK TABLE first; SELECT pg_sleep(1); COMMIT"); });
  while (sql("SELECT count(*) FROM pg_locks WHERE relation = 'first'::regclass") == "0") {
  }
  EXPECT_NE(refusal(blocked).find("lock timeout"), std::string::npos);
  EXPECT_EQ(schema_version(dsn_), 1);
  holder.get();
}

TEST_F(Migrations, RunAtOnceByTwoMigratorsAreAppliedOnce) {
  std::vector<std::future<std::string>> migrators;
  for (int i = 0; i < 4; ++i) {
    migrators.push_back(std::async(std::launch::async, [this] { return refusal(two_steps); }));
  }
  for (auto& migrator : migrators) EXPECT_EQ(migrator.get(), "");
  EXPECT_EQ(sql("SELECT count(*) FROM second"), "2");
}

TEST_F(Migrations, GiveTheServicesRoleItsRowsAndNoMore) {
  sql("DO $$BEGIN"
      " IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'demo-service') THEN"
      "  CREATE ROLE \"demo-service\" LOGIN; CREATE ROLE \"demo-service-migrate\" LOGIN;"
      "  CREATE ROLE audit LOGIN;"
      " END IF; END$$;"
      "ALTER SCHEMA public OWNER TO \"demo-service-migrate\"");
  const std::string base = dsn_.reveal();
  const auto as = [&](const std::string& role) { return Secret<>{base + " user=" + role}; };
  const auto refused = [&](const std::string& role, const std::string& statement) {
    try {
      PrivatePostgres::sql(as(role), statement);
    } catch (const std::runtime_error& error) {
      return std::string{error.what()}.contains("permission denied");
    }
    return false;
  };
  migrate(as("demo-service-migrate"), two_steps);

  EXPECT_EQ(PrivatePostgres::sql(as("demo-service"),
                                 "INSERT INTO second VALUES (3); UPDATE second SET id = 4;"
                                 "DELETE FROM second; SELECT count(*) FROM second"),
            "0");
  EXPECT_EQ(schema_version(as("demo-service")), 2);
  EXPECT_TRUE(refused("demo-service", "CREATE TABLE mine (id int)"));
  EXPECT_TRUE(refused("demo-service", "DELETE FROM schema_migrations"));
  EXPECT_EQ(PrivatePostgres::sql(as("audit"), "SELECT count(*) FROM second"), "0");
  EXPECT_TRUE(refused("audit", "INSERT INTO second VALUES (3)"));
}

// After a failover the server that was first follows the other, or is a machine that is gone.
TEST_F(Migrations, FindTheServerThatTakesWrites) {
  PrivatePostgres follows;
  const auto writable = dsn_.reveal();
  const auto name = writable.substr(writable.find("dbname="));
  Secret<> same = follows.database();
  while (!same.reveal().ends_with(name)) same = follows.database();
  PrivatePostgres::sql(same, "ALTER ROLE postgres SET default_transaction_read_only = on");
  const Secret<> both{std::format("host=127.0.0.1,127.0.0.1 port={},{} {}", follows.port(),
                                  PrivatePostgres::shared().port(),
                                  writable.substr(writable.find("user=")))};
  migrate(both, two_steps);
  EXPECT_EQ(schema_version(both), 2);
  follows.freeze();
  EXPECT_EQ(schema_version(both), 2);
  follows.thaw();
}

TEST_F(Migrations, OfADatabaseThatCannotBeAskedSaySo) {
  EXPECT_THROW(schema_version(Secret<>{"host=127.0.0.1 port=1 dbname=none"}), std::runtime_error);
}

}  // namespace
}  // namespace stoa::postgres
