#include <format>
#include <map>
#include <set>

#include <libpq-fe.h>

#include "servicekit/postgres/detail/connector.hpp"
#include "servicekit/postgres/tests/fixture.hpp"

namespace stoa::postgres {
namespace {

/// A session of somebody else.
class Stranger {
 public:
  explicit Stranger(const Secret<>& dsn)
      : connection_{PQconnectdb(dsn.reveal().c_str()), &PQfinish} {}

  void run(const std::string& statement) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> result{
        PQexec(connection_.get(), statement.c_str()), &PQclear};
    ASSERT_NE(PQresultStatus(result.get()), PGRES_FATAL_ERROR) << PQerrorMessage(connection_.get());
  }

 private:
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

constexpr std::string_view insert_sql =
    "INSERT INTO t VALUES ($1) RETURNING pg_current_xact_id()::text";
constexpr std::string_view lock_sql = "SELECT 'held' FROM pg_advisory_xact_lock($1)";

class Groups : public DatabaseTest {
 protected:
  Groups() {
    open();
    sql("CREATE TABLE t (id int PRIMARY KEY)");
  }

  /// The first of them goes alone; those after it gather while it is at the server.
  Task<std::string> grouped(Query query, Context context = Context{}.within(5s)) {
    return outcome(database_->run_grouped(std::move(context), std::move(query)));
  }
  Task<std::string> insert(std::int64_t id) { return grouped(write(insert_sql, {id})); }

  std::string there() { return sql("SELECT count(*) FROM t"); }

  static Task<std::string> watched(Task<std::string> task, std::function<void()> then) {
    auto answer = co_await std::move(task);
    then();
    co_return answer;
  }

  /// Waits beside the loop's thread.
  std::jthread when(std::string question, std::string wanted, std::function<void()> act) {
    return std::jthread{
        [this, question = std::move(question), wanted = std::move(wanted), act = std::move(act)] {
          EXPECT_TRUE(eventually([&] { return sql(question); }, wanted)) << question;
          act();
        }};
  }
};

constexpr auto waiting_for_a_lock =
    "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'";

TEST_F(Groups, ThoseThatComeMeanwhileShareTheNextTransaction) {
  std::vector<Task<std::string>> tasks;
  for (int i = 0; i < 5; ++i) tasks.push_back(insert(i));
  const auto answers = together(std::move(tasks));
  EXPECT_EQ(std::set(answers.begin() + 1, answers.end()).size(), 1U);
  EXPECT_NE(answers[0], answers[1]);
  EXPECT_EQ(there(), "5");
}

TEST_F(Groups, EachSeesWhatThoseBeforeItDid) {
  constexpr std::string_view count =
      "WITH put AS (INSERT INTO t VALUES ($1)) SELECT count(*) FROM t";
  std::vector<Task<std::string>> tasks;
  for (std::int64_t i = 0; i < 4; ++i) tasks.push_back(grouped(write(count, {i})));
  EXPECT_EQ(together(std::move(tasks)), (std::vector<std::string>{"0", "1", "2", "3"}));
}

TEST_F(Groups, WhatFailsFailsForItselfAlone) {
  sql("INSERT INTO t VALUES (7)");
  std::vector<Task<std::string>> tasks;
  for (int i = 0; i < 20; ++i) tasks.push_back(insert(i));
  const auto answers = together(std::move(tasks));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i] == "23505", i == 7) << i << ": " << answers[i];
    EXPECT_NE(answers[i], "unavailable");
  }
  EXPECT_EQ(there(), "20");
}

TEST_F(Groups, WhatAsksForARepeatIsRepeatedAndDoneOnce) {
  sql("CREATE SEQUENCE calls");
  sql("CREATE FUNCTION put(n bigint) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN"
      " IF nextval('calls') IN (3, 7) THEN RAISE SQLSTATE '40P01'; END IF;"
      " INSERT INTO t VALUES (n); RETURN 'put'; END $f$");
  std::vector<Task<std::string>> tasks;
  for (std::int64_t i = 0; i < 6; ++i) tasks.push_back(grouped(write("SELECT put($1)", {i})));
  EXPECT_EQ(together(std::move(tasks)), std::vector<std::string>(6, "put"));
  EXPECT_EQ(there(), "6");
}

TEST_F(Groups, AreBounded) {
  std::vector<Task<std::string>> tasks;
  for (int i = 0; i < 100; ++i) tasks.push_back(insert(i));
  std::map<std::string, int> members;
  for (const auto& transaction : together(std::move(tasks))) ++members[transaction];
  for (const auto& [transaction, count] : members) EXPECT_LE(count, 32);
  EXPECT_LE(members.size(), 6U);
}

// Else two processes that hold what the other wants would wait for each other.
TEST_F(Groups, MeetTheRowsOfTheirKeysInOneOrder) {
  constexpr std::string_view put = "INSERT INTO t VALUES ($1::text::int) RETURNING cmin::text";
  std::vector<Task<std::string>> tasks;
  for (const char* id : {"9", "3", "2", "1"}) tasks.push_back(grouped(write(put, {id})));
  const auto answers = together(std::move(tasks));
  EXPECT_LT(std::stoi(answers[3]), std::stoi(answers[2]));
  EXPECT_LT(std::stoi(answers[2]), std::stoi(answers[1]));
}

TEST_F(Groups, AMemberLeavesAtItsOwnDeadlineAndTheOthersStay) {
  constexpr std::string_view sleep = "SELECT 'slept' FROM pg_sleep($1::text::float8)";
  std::vector<Task<std::string>> tasks;
  tasks.push_back(grouped(write(sleep, {"0.01"})));
  tasks.push_back(grouped(write(sleep, {"0"}), Context{}.within(60ms)));
  tasks.push_back(grouped(write(sleep, {"0.3"})));
  EXPECT_EQ(together(std::move(tasks)),
            (std::vector<std::string>{"slept", "unavailable", "slept"}));
}

TEST_F(Groups, ACallWhoseTimeIsUpAtTheServerIsAnsweredAndTheNextOneServed) {
  Stranger stranger{dsn_};
  stranger.run("SELECT pg_advisory_lock(1)");
  std::vector<Task<std::string>> tasks;
  tasks.push_back(grouped(write(lock_sql, {1}), Context{}.within(100ms)));
  EXPECT_EQ(together(std::move(tasks)).front(), "unavailable");
  EXPECT_EQ(run_on(*loops_, grouped(write(lock_sql, {2}))), "held");
}

TEST_F(Groups, ASlowGroupHoldsNobodyBack) {
  Stranger stranger{dsn_};
  stranger.run("SELECT pg_advisory_lock(1)");
  std::vector<Task<std::string>> tasks;
  tasks.push_back(grouped(write(lock_sql, {1})));
  tasks.push_back(watched(grouped(write(lock_sql, {2})),
                          [&] { stranger.run("SELECT pg_advisory_unlock(1)"); }));
  EXPECT_EQ(together(std::move(tasks)), (std::vector<std::string>{"held", "held"}));
}

TEST_F(Groups, WhoWaitsForALockIsFoundAndWaitsAlone) {
  Stranger stranger{dsn_};
  stranger.run("SELECT pg_advisory_lock(1)");
  std::vector<Task<std::string>> tasks;
  std::size_t answered = 0;
  const auto let_go = [&] {
    if (++answered == 4) stranger.run("SELECT pg_advisory_unlock(1)");
  };
  for (const int key : {9, 1, 2, 3, 4}) {
    tasks.push_back(watched(grouped(write(lock_sql, {key})), let_go));
  }
  EXPECT_EQ(together(std::move(tasks)), std::vector<std::string>(5, "held"));
}

TEST_F(Groups, WhatFailsForEverybodyFailsAllAtOnce) {
  sql("CREATE SEQUENCE calls");
  sql("CREATE FUNCTION put(n bigint) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN"
      " PERFORM nextval('calls'); RAISE SQLSTATE '53100'; END $f$");
  std::vector<Task<std::string>> tasks;
  for (std::int64_t i = 0; i < 9; ++i) tasks.push_back(grouped(write("SELECT put($1)", {i})));
  EXPECT_EQ(together(std::move(tasks)), std::vector<std::string>(9, "unavailable"));
  EXPECT_EQ(sql("SELECT last_value FROM calls"), "2") << "one alone, one of the group of eight";
}

TEST_F(Groups, ForgottenStatementsArePreparedAgain) {
  open({.pipelines = 1, .pipelines_max = 1});
  ASSERT_EQ(ask(write("SELECT 'ready'")), "ready");
  const auto insert_three = [this](std::int64_t first) {
    std::vector<Task<std::string>> tasks;
    for (std::int64_t i = 0; i < 3; ++i) tasks.push_back(insert(first + i));
    return together(std::move(tasks));
  };
  insert_three(0);
  ask(write("DEALLOCATE ALL"));
  insert_three(3);
  EXPECT_EQ(there(), "6");
}

TEST_F(Groups, AServerThatDiesFailsThoseAtItAndThoseThatWait) {
  Stranger stranger{dsn_};
  stranger.run("SELECT pg_advisory_lock(1)");
  auto killer = when(waiting_for_a_lock, "t", [this] { server_.kill(); });
  std::vector<Task<std::string>> tasks;
  for (int i = 0; i < 40; ++i) tasks.push_back(grouped(write(lock_sql, {1})));
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(together(std::move(tasks)), std::vector<std::string>(40, "unavailable"));
  EXPECT_LT(std::chrono::steady_clock::now() - started, 4s) << "not by their deadlines";
  killer.join();
  server_.start();
}

// A process that stopped in the middle of sending: to PostgreSQL it is not idle.
TEST_F(Groups, ATransactionOfWhichHalfArrivedEnds) {
  const auto parameters = detail::parameters_of({.dsn = dsn_, .statement_timeout = 100ms});
  const detail::ParameterArrays arrays{parameters};
  const std::unique_ptr<PGconn, decltype(&PQfinish)> half{
      PQconnectdbParams(arrays.keywords.data(), arrays.values.data(), 0), &PQfinish};
  ASSERT_EQ(PQenterPipelineMode(half.get()), 1);
  PQsendQueryParams(half.get(), "SELECT pg_advisory_xact_lock(1)", 0, nullptr, nullptr, nullptr,
                    nullptr, 0);
  PQsendFlushRequest(half.get());
  ASSERT_EQ(PQflush(half.get()), 0);
  constexpr auto held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
  EXPECT_TRUE(eventually([&] { return sql(held); }, "1"));
  EXPECT_TRUE(eventually([&] { return sql(held); }, "0"));
}

TEST_F(Groups, ADatabaseMayEndWithGroupsAtTheServer) {
  Stranger stranger{dsn_};
  stranger.run("SELECT pg_advisory_lock(1)");
  for (int i = 0; i < 3; ++i) {
    boost::asio::co_spawn(loops_->at(0), grouped(write(lock_sql, {1})),
                          [](const std::exception_ptr&, const std::string&) {});
  }
  const auto stopper = when(waiting_for_a_lock, "t", [this] { loops_->stop(); });
  loops_->at(0).restart();
  loops_->run();
  database_.reset();
}

}  // namespace
}  // namespace stoa::postgres
