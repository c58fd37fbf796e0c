#include <array>

#include "servicekit/postgres/tests/fixture.hpp"

namespace stoa::postgres {
namespace {

class Statements : public DatabaseTest {
 protected:
  Statements() { open(); }

  Task<std::string> all_or_nothing(std::vector<Query> queries) {
    return all_or_nothing_of(database_.get(), std::move(queries));
  }

  static Task<std::string> all_or_nothing_of(Database* database, std::vector<Query> queries) {
    try {
      const auto results = co_await database->run_all({}, std::move(queries));
      co_return "done";
    } catch (const SqlError& error) {
      co_return error.sqlstate();
    }
  }

  Task<std::string> answer_to(Query query, Context context = {}) {
    return outcome(database_->run(std::move(context), std::move(query)));
  }
};

TEST_F(Statements, CarryEveryKindOfParameter) {
  const auto id = *Uuid::parse("018f4d2e-7b6a-7c3d-8e5f-0123456789ab");
  const Rows rows = run_on(
      *loops_,
      database_->run({}, read("SELECT $1::bigint, $2::text, $3::bool, $4::uuid, $5::text IS NULL,"
                              " (extract(epoch FROM $6::timestamptz) * 1000)::bigint",
                              {std::int64_t{-7}, std::string{"it's \\ \"x\""}, true, param(id),
                               nullptr, param(Instant{1'234'567ms})})));
  const Row row = rows.front();
  EXPECT_EQ(row.number(0), -7);
  EXPECT_EQ(row.text(1), "it's \\ \"x\"");
  EXPECT_TRUE(row.flag(2));
  EXPECT_EQ(row.uuid(3), id);
  EXPECT_TRUE(row.flag(4));
  EXPECT_EQ(row.instant(5), Instant{1'234'567ms});
}

TEST_F(Statements, CarryArraysWithoutReadingTheirTextAsSyntax) {
  const std::vector<std::optional<std::string>> texts{"a,b", "NULL", "{\"\\}", "", std::nullopt};
  EXPECT_EQ(ask(read("SELECT string_agg(coalesce('<' || t || '>', 'none'), ' ')"
                     " FROM unnest($1::text[]) AS t",
                     {array(texts)})),
            "<a,b> <NULL> <{\"\\}> <> none");
  EXPECT_EQ(ask(read("SELECT sum(n) FROM unnest($1::bigint[]) AS n",
                     {array(std::vector<std::int64_t>{1, 2, 39})})),
            "42");
  EXPECT_EQ(ask(read("SELECT cardinality($1::uuid[])", {array(std::vector<Uuid>{})})), "0");
}

// Left to itself PostgreSQL keeps judging one plan for ten rows dearer than a new one for one.
TEST_F(Statements, ArePlannedOnceWhereAServiceSaysSo) {
  sql("CREATE TABLE keyed (id bigint PRIMARY KEY);"
      "INSERT INTO keyed SELECT generate_series(1, 50000); ANALYZE keyed");
  const auto plans_after_ten_calls = [this](bool generic_plans) {
    open({.pipelines = 1, .pipelines_max = 1, .generic_plans = generic_plans});
    constexpr std::string_view text =
        "SELECT count(*) FROM unnest($1::bigint[]) AS w (id) JOIN keyed USING (id)";
    for (int i = 0; i < 10; ++i) ask(read(text, {array(std::vector<std::int64_t>{i})}));
    return ask(
        read("SELECT custom_plans FROM pg_prepared_statements WHERE statement LIKE '%keyed%'"
             " AND statement LIKE '%unnest%' AND statement NOT LIKE '%custom%'"));
  };
  EXPECT_EQ(plans_after_ten_calls(false), "10");
  EXPECT_EQ(plans_after_ten_calls(true), "0");
}

TEST_F(Statements, RefuseTextThatWouldBeCutAtItsNul) {
  EXPECT_EQ(ask(read("SELECT $1::text", {std::string("a\0b", 3)})), "22021");
}

TEST_F(Statements, KeepTheSqlstateOfARefusal) {
  sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
  EXPECT_EQ(ask(write("INSERT INTO t VALUES (1)")), "23505");
  EXPECT_EQ(ask(write("INSERT INTO nowhere VALUES (1)")), "42P01");
  EXPECT_EQ(ask(read("SELECT 1")), "1") << "a refusal must not cost the connection";
}

TEST_F(Statements, TellHowManyRowsTheyTouched) {
  sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2), (3)");
  const Rows rows = run_on(*loops_, database_->run({}, write("DELETE FROM t WHERE id > 1")));
  EXPECT_EQ(rows.affected(), 2);
  EXPECT_TRUE(rows.empty());
}

TEST_F(Statements, ReadsSurviveANeighbourThatFails) {
  open({.pipelines = 1, .pipelines_max = 1});
  std::vector<Task<std::string>> tasks;
  for (std::int64_t i = 0; i < 300; ++i) {
    tasks.push_back(i % 3 == 1 ? answer_to(read("SELECT (1 / ($1::int - $1::int))::text", {i}))
                               : answer_to(read("SELECT $1::text", {std::to_string(i)})));
  }
  const auto answers = together(std::move(tasks));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i], i % 3 == 1 ? "22012" : std::to_string(i));
  }
}

TEST_F(Statements, AbortOnlyTheirOwnUnitAmongReadsAndWrites) {
  open({.pipelines = 1, .pipelines_max = 1});
  sql("CREATE TABLE orders (id int PRIMARY KEY);"
      "CREATE TABLE items (order_id int, quantity int CHECK (quantity > 0))");
  std::vector<Task<std::string>> tasks;
  for (std::int64_t i = 0; i < 150; ++i) {
    tasks.push_back(all_or_nothing({write("INSERT INTO orders VALUES ($1)", {i}),
                                    write("INSERT INTO items VALUES ($1, $2)", {i, i % 2}),
                                    write("INSERT INTO items VALUES ($1, 7)", {i})}));
    tasks.push_back(answer_to(read("SELECT $1::text", {std::to_string(i)})));
    tasks.push_back(answer_to(read("SELECT 1 / ($1::int % 2)", {i})));
  }
  const auto answers = together(std::move(tasks));
  for (std::size_t i = 0; i < 150; ++i) {
    EXPECT_EQ(answers[3 * i], i % 2 == 0 ? "23514" : "done");
    EXPECT_EQ(answers[3 * i + 1], std::to_string(i));
    EXPECT_EQ(answers[3 * i + 2], i % 2 == 0 ? "22012" : "1");
  }
  EXPECT_EQ(sql("SELECT count(*) || '/' || (SELECT count(*) FROM items) FROM orders"), "75/150");
}

TEST_F(Statements, OfOneUnitFailTogetherAtTheCommit) {
  sql("CREATE TABLE parents (id int PRIMARY KEY);"
      "CREATE TABLE children (parent int REFERENCES parents DEFERRABLE INITIALLY DEFERRED)");
  EXPECT_EQ(together([this] {
              std::vector<Task<std::string>> tasks;
              tasks.push_back(all_or_nothing({write("INSERT INTO children VALUES (9)"),
                                              write("INSERT INTO parents VALUES (1)")}));
              tasks.push_back(answer_to(read("SELECT 'neighbour'")));
              return tasks;
            }()),
            (std::vector<std::string>{"23503", "neighbour"}));
  EXPECT_EQ(ask(write("INSERT INTO children VALUES (9)")), "23503");
  EXPECT_EQ(sql("SELECT count(*) FROM parents"), "0");
}

TEST_F(Statements, AreRepeatedWhenPostgresAsksForIt) {
  sql("CREATE SEQUENCE attempts; CREATE TABLE t (id int);"
      "CREATE FUNCTION flaky(code text) RETURNS int LANGUAGE plpgsql AS $$BEGIN"
      "  IF nextval('attempts') < 4 THEN RAISE EXCEPTION USING ERRCODE = code; END IF;"
      "  RETURN 1; END$$");
  EXPECT_EQ(ask(write("INSERT INTO t SELECT flaky('40P01') RETURNING id")), "1");
  sql("ALTER SEQUENCE attempts RESTART");
  EXPECT_EQ(run_on(*loops_, all_or_nothing({write("INSERT INTO t VALUES (2)"),
                                            write("INSERT INTO t SELECT flaky('40001')")})),
            "done");
  EXPECT_EQ(sql("SELECT count(*) FROM t"), "3") << "what was repeated must have been undone";
}

TEST_F(Statements, ThatAreRefusedForeverAreNotRepeatedForever) {
  sql("CREATE FUNCTION always() RETURNS int LANGUAGE plpgsql AS"
      " $$BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END$$");
  EXPECT_EQ(ask(write("SELECT always()")), "unavailable");
}

TEST_F(Statements, ArePreparedAgainWhenTheServerForgotThem) {
  open({.pipelines = 1, .pipelines_max = 1});
  sql("CREATE TABLE t (id int)");
  const Query insert = write("INSERT INTO t VALUES (1) RETURNING 'kept'");
  const Query select = read("SELECT 'known'");
  EXPECT_EQ(ask(insert), "kept");
  EXPECT_EQ(ask(select), "known");
  EXPECT_EQ(ask(write("DEALLOCATE ALL")), "");
  EXPECT_EQ(together([&] {
              std::vector<Task<std::string>> tasks;
              tasks.push_back(answer_to(select));
              tasks.push_back(answer_to(insert));
              tasks.push_back(answer_to(select));
              return tasks;
            }()),
            (std::vector<std::string>{"known", "kept", "known"}));
  EXPECT_EQ(sql("SELECT count(*) FROM t"), "2");
}

TEST_F(Statements, SurviveAMigrationThatChangesWhatTheyReturn) {
  open({.pipelines = 1, .pipelines_max = 1});
  sql("CREATE TABLE t (id int); INSERT INTO t VALUES (5)");
  const Query select = read("SELECT id FROM t");
  EXPECT_EQ(ask(select), "5");
  sql("ALTER TABLE t ALTER COLUMN id TYPE text");
  EXPECT_EQ(ask(select), "5");
}

TEST_F(Statements, PastTheirDeadlineHoldNobodyUp) {
  open({.pipelines = 1, .pipelines_max = 1});
  ASSERT_EQ(ask(read("SELECT 1")), "1");
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(ask(write("SELECT pg_sleep(4)"), Context{}.within(100ms)), "unavailable");
  EXPECT_EQ(ask(read("SELECT 'next'")), "next");
  EXPECT_LT(std::chrono::steady_clock::now() - started, 2s);
}

TEST_F(Statements, MoveToAnotherConnectionWhenTheyOnlyRead) {
  open({.pipelines = 2, .pipelines_max = 2});
  // On a slow machine the second connection comes after the first answers, and it is ours to use
  // only when our side has seen it ready: PostgreSQL lists it before that.
  do {
    ASSERT_EQ(ask(read("SELECT 1")), "1");
  } while (!telemetry_.exposition().contains("\nstoa_postgres_connections 2\n"));
  // Both connections are busy writing, so reads wait behind either; one of them is given up.
  std::vector<Task<std::string>> tasks;
  tasks.push_back(answer_to(write("SELECT pg_sleep(4)"), Context{}.within(150ms)));
  tasks.push_back(answer_to(write("SELECT 'written', pg_sleep(0.5)")));
  for (int i = 0; i < 6; ++i) tasks.push_back(answer_to(read("SELECT 'read'")));
  const auto answers = together(std::move(tasks));
  EXPECT_EQ(answers[0], "unavailable");
  EXPECT_EQ(answers[1], "written");
  for (std::size_t i = 2; i < answers.size(); ++i) EXPECT_EQ(answers[i], "read");
}

TEST_F(Statements, BeyondTheLimitAreRefusedAtOnce) {
  open({.pipelines = 1, .pipelines_max = 1, .waiting_max = 4});
  ASSERT_EQ(ask(read("SELECT 1")), "1");
  std::vector<Task<std::string>> tasks;
  for (int i = 0; i < 7; ++i) tasks.push_back(answer_to(write("SELECT 'done', pg_sleep(0.02)")));
  const auto answers = together(std::move(tasks));
  EXPECT_EQ(std::ranges::count(answers, "done"), 4);
  EXPECT_EQ(std::ranges::count(answers, "unavailable"), 3);
  EXPECT_EQ(ask(read("SELECT 1")), "1") << "places must be given back";
}

TEST_F(Statements, ThatWriteDoNotQueueBehindOneAnother) {
  open({.pipelines = 1, .pipelines_max = 4});
  ASSERT_EQ(ask(read("SELECT 1")), "1");
  const auto connections = [this] {
    return sql(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'postgres_test'"
        " AND datname = current_database()");
  };
  EXPECT_EQ(connections(), "1");
  const auto many = [&] {
    std::vector<Task<std::string>> tasks;
    for (int i = 0; i < 8; ++i) tasks.push_back(answer_to(write("SELECT 'done', pg_sleep(0.05)")));
    return together(std::move(tasks));
  };
  // The first writes ask for company, the later ones use it.
  for (int i = 0; i < 4; ++i) EXPECT_EQ(many(), std::vector<std::string>(8, "done"));
  EXPECT_EQ(connections(), "4");
}

TEST_F(Statements, ThatReadKeepAwayFromWrites) {
  open({.pipelines = 2, .pipelines_max = 2});
  // On a slow machine the second connection comes after the first answers, and it is ours to use
  // only when our side has seen it ready: PostgreSQL lists it before that.
  do {
    ASSERT_EQ(ask(read("SELECT 1")), "1");
  } while (!telemetry_.exposition().contains("\nstoa_postgres_connections 2\n"));
  std::vector<Task<std::string>> tasks;
  tasks.push_back(answer_to(write("SELECT 'slow', pg_sleep(2)")));
  for (int i = 0; i < 20; ++i) {
    tasks.push_back(answer_to(read("SELECT 'quick'"), Context{}.within(1'500ms)));
  }
  const auto answers = together(std::move(tasks));
  EXPECT_EQ(answers[0], "slow");
  EXPECT_EQ(std::ranges::count(answers, "quick"), 20);
}

TEST_F(Statements, WithoutTimeLeftAreNotSent) {
  sql("CREATE TABLE t (id int)");
  EXPECT_EQ(ask(write("INSERT INTO t VALUES (1)"), Context{}.within(0ms)), "unavailable");
  EXPECT_EQ(sql("SELECT count(*) FROM t"), "0");
}

TEST_F(Statements, RunOnEveryLoop) {
  open({}, 2);
  std::array<std::size_t, 2> right{};
  std::atomic<int> left = 400;
  for (std::size_t i = 0; i < 400; ++i) {
    boost::asio::co_spawn(loops_->at(i % 2),
                          answer_to(read("SELECT $1::text", {std::to_string(i)})),
                          [&, i](const std::exception_ptr&, const std::string& answer) {
                            right[i % 2] += answer == std::to_string(i) ? 1 : 0;
                            if (--left == 0) loops_->stop();
                          });
  }
  loops_->run();
  EXPECT_EQ(right[0], 200U);
  EXPECT_EQ(right[1], 200U);
}

}  // namespace
}  // namespace stoa::postgres
