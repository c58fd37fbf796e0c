#include "servicekit/postgres/tests/fixture.hpp"

namespace stoa::postgres {
namespace {

using Script = std::vector<Query>;
enum class End : std::uint8_t { commit, drop };

// One transaction: what its last statement answered, or what became of it.
Task<std::string> transact(Database* database, Script script, End end, Context context = {}) {
  try {
    auto transaction = co_await database->begin(context);
    std::string last;
    for (Query& query : script) {
      const Rows rows = co_await transaction.run(std::move(query));
      last = rows.empty() ? "" : rows.front().text(0);
    }
    if (end == End::commit) co_await transaction.commit();
    co_return last;
  } catch (const Unavailable&) {
    co_return "unavailable";
  } catch (const SqlError& error) {
    co_return error.sqlstate();
  }
}

Task<std::string> commit_after_failure(Database* database) {
  auto transaction = co_await database->begin({});
  std::string failure;
  try {
    co_await transaction.run(write("SELECT 1 / 0"));
  } catch (const SqlError& error) {
    failure = error.sqlstate();
  }
  try {
    co_await transaction.commit();
  } catch (const SqlError& error) {
    failure += " " + error.sqlstate();
  }
  co_return failure;
}

class Transactions : public DatabaseTest {
 protected:
  Transactions() {
    open({.transactions_max = 2});
    sql("CREATE TABLE t (id int PRIMARY KEY)");
  }

  Task<std::string> transaction(Script script, End end = End::commit, Context context = {}) {
    return transact(database_.get(), std::move(script), end, std::move(context));
  }
  std::string run(Script script, End end = End::commit, Context context = {}) {
    return run_on(*loops_, transaction(std::move(script), end, std::move(context)));
  }
  std::string idle_in_transaction() {
    return sql(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'postgres_test'"
        " AND datname = current_database() AND state LIKE 'idle in transaction%'");
  }
};

TEST_F(Transactions, CommitAllTheirStatements) {
  EXPECT_EQ(run({write("INSERT INTO t VALUES (1)"), write("INSERT INTO t VALUES (2)"),
                 read("SELECT count(*) FROM t")}),
            "2");
  EXPECT_EQ(sql("SELECT count(*) FROM t"), "2");
}

TEST_F(Transactions, RollBackUnlessCommitted) {
  EXPECT_EQ(run({write("INSERT INTO t VALUES (1) RETURNING id")}, End::drop), "1");
  EXPECT_EQ(run({write("INSERT INTO t VALUES (1) RETURNING id")}, End::drop), "1")
      << "the first must be gone";
  EXPECT_EQ(sql("SELECT count(*) FROM t"), "0");
}

TEST_F(Transactions, GiveTheirConnectionBackHoweverTheyEnd) {
  sql("INSERT INTO t VALUES (1)");
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(run({write("INSERT INTO t VALUES (1)")}), "23505");
    EXPECT_EQ(run({write("INSERT INTO t VALUES (2) RETURNING id")}, End::drop), "2");
    EXPECT_EQ(run({}, End::drop), "");
    EXPECT_EQ(run({read("SELECT 'kept'")}), "kept");
  }
  EXPECT_LE(std::stoi(sql("SELECT count(*) FROM pg_stat_activity"
                          " WHERE application_name = 'postgres_test'"
                          " AND datname = current_database()")),
            4)
      << "two pipelines and at most two for transactions";
}

TEST_F(Transactions, CannotCommitAfterAFailure) {
  EXPECT_EQ(run_on(*loops_, commit_after_failure(database_.get())), "22012 25P02");
}

TEST_F(Transactions, BeyondTheLimitWaitForTheirTurn) {
  std::vector<Task<std::string>> tasks;
  for (std::int64_t i = 0; i < 20; ++i) {
    tasks.push_back(transaction(
        {write("INSERT INTO t VALUES ($1) RETURNING 'done'", {i}), read("SELECT 'done'")}));
  }
  EXPECT_EQ(together(std::move(tasks)), std::vector<std::string>(20, "done"));
}

TEST_F(Transactions, ThatGetNoConnectionInTimeSaySo) {
  std::vector<Task<std::string>> tasks;
  for (int i = 0; i < 2; ++i) tasks.push_back(transaction({write("SELECT 'done', pg_sleep(0.4)")}));
  tasks.push_back(transaction({read("SELECT 'done'")}, End::commit, Context{}.within(100ms)));
  EXPECT_EQ(together(std::move(tasks)), (std::vector<std::string>{"done", "done", "unavailable"}));
  EXPECT_EQ(run({read("SELECT 'later'")}), "later");
}

TEST_F(Transactions, PastTheirDeadlineFreeTheirLocks) {
  sql("INSERT INTO t VALUES (1)");
  EXPECT_EQ(run({write("UPDATE t SET id = 1"), write("SELECT pg_sleep(4)")}, End::commit,
                Context{}.within(100ms)),
            "unavailable");
  EXPECT_EQ(ask(write("UPDATE t SET id = 3 RETURNING 'unlocked'"), Context{}.within(3s)),
            "unlocked");
}

TEST_F(Transactions, LoseADeadlockAsUnavailable) {
  sql("INSERT INTO t VALUES (1), (2); ALTER DATABASE " + sql("SELECT current_database()") +
      " SET deadlock_timeout = '20ms'");
  open({.transactions_max = 2});
  const auto lock = [](std::int64_t id) {
    return write("SELECT id FROM t WHERE id = $1 FOR UPDATE", {id});
  };
  const Query pause = write("SELECT pg_sleep(0.1)");
  std::vector<Task<std::string>> tasks;
  tasks.push_back(transaction({lock(1), pause, lock(2)}));
  tasks.push_back(transaction({lock(2), pause, lock(1)}));
  const auto answers = together(std::move(tasks));
  EXPECT_EQ(std::ranges::count(answers, "unavailable"), 1);
}

TEST_F(Transactions, DroppedWithTheirLoopLeaveNothingBehind) {
  boost::asio::co_spawn(loops_->at(0), transaction({write("SELECT pg_sleep(4)")}),
                        [](const std::exception_ptr&, const std::string&) {});
  run_on(*loops_, sleep_for(200ms));
  database_.reset();
  loops_.reset();
  EXPECT_TRUE(eventually([this] { return idle_in_transaction(); }, "0"));
}

}  // namespace
}  // namespace stoa::postgres
