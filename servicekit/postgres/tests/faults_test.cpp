#include <atomic>
#include <format>

#include "servicekit/postgres/tests/fixture.hpp"

namespace stoa::postgres {
namespace {

struct Tally {
  std::vector<std::int64_t> answered;
  std::atomic<int> unavailable = 0;  // a killer looks at it
};

constexpr std::int64_t inserts_max = 100'000;

// Inserts 1, 2, 3 … one after the other and remembers what was answered, until a kill has hit one
// and `more` after it.
Task<> insert_until_hit(Database* database, int more, Tally* tally) {
  for (std::int64_t i = 1; more > 0 && i <= inserts_max; ++i) {
    const auto answer = co_await outcome(
        database->run(Context{}.within(1s), write("INSERT INTO t VALUES ($1) RETURNING id", {i})));
    if (answer == "unavailable") {
      ++tally->unavailable;
      co_await sleep_for(5ms);
    } else {
      tally->answered.push_back(i);
    }
    if (tally->unavailable > 0) --more;
  }
}

Task<std::string> commit_is_lost(Database* database) {
  auto transaction = co_await database->begin(Context{}.within(5s));
  co_await transaction.run(write("INSERT INTO t VALUES (1)"));
  try {
    co_await transaction.commit();
  } catch (const Unavailable&) {
    co_return "unavailable";
  }
  co_return "committed";
}

// On the loop all the while, as a service is: what it connects to goes on between the questions.
Task<std::string> ask_until_answered(Database* database) {
  for (int i = 0; i < 100; ++i) {
    auto answer = co_await outcome(database->run(Context{}.within(1s), read("SELECT 'back'")));
    if (answer != "unavailable") co_return answer;
    co_await sleep_for(50ms);
  }
  co_return "unavailable";
}

Task<std::string> lease_and_ask(Database* database) {
  auto transaction = co_await database->begin(Context{}.within(5s));
  const Rows rows = co_await transaction.run(write("SELECT 'leased'"));
  co_return std::string{rows.front().text(0)};
}

class Faults : public DatabaseTest {
 protected:
  Faults() {
    open();
    sql("CREATE TABLE t (id int)");
  }

  // A test must not leave a stopped server to the next.
  ~Faults() override {
    server_.kill();
    server_.start();
  }

  template <class Act>
  std::jthread after(std::chrono::milliseconds delay, Act act) {
    return std::jthread{[delay, act] {
      std::this_thread::sleep_for(delay);
      act();
    }};
  }

  bool comes_back() {
    return eventually([this] { return ask(read("SELECT 'back'"), Context{}.within(1s)); }, "back");
  }
};

TEST_F(Faults, KillNineLosesNothingThatWasAnswered) {
  Tally tally;
  {
    // A kill between two inserts hits none: the next one waits for the server and is answered.
    const std::jthread killer{[&] {
      for (int kills = 0; kills < 20 && tally.unavailable == 0; ++kills) {
        std::this_thread::sleep_for(60ms);
        server_.kill();
        server_.start();
      }
    }};
    run_on(*loops_, insert_until_hit(database_.get(), 500, &tally));
  }
  EXPECT_GT(tally.unavailable, 0) << "the server was not killed in the middle";
  EXPECT_GT(tally.answered.size(), 0U);
  EXPECT_EQ(sql("SELECT count(*) FROM t WHERE id = ANY(" +
                ("'" + std::get<std::string>(array(tally.answered)) + "'") + "::int[])"),
            std::to_string(tally.answered.size()));
  EXPECT_EQ(sql("SELECT count(*) - count(DISTINCT id) FROM t"), "0") << "a write was repeated";
}

TEST_F(Faults, AShutdownIsUnavailableAndComesBack) {
  ASSERT_EQ(ask(read("SELECT 1")), "1");
  server_.stop();
  EXPECT_EQ(ask(read("SELECT 1"), Context{}.within(1s)), "unavailable");
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(ask(write("INSERT INTO t VALUES (1)")), "unavailable");
  EXPECT_LT(std::chrono::steady_clock::now() - started, 1s) << "known to be down: refused at once";
  server_.start();
  EXPECT_TRUE(comes_back());
}

TEST_F(Faults, AFrozenServerHoldsNobodyPastTheDeadline) {
  ASSERT_EQ(ask(read("SELECT 1")), "1");
  server_.freeze();
  for (int i = 0; i < 3; ++i) {
    const auto started = std::chrono::steady_clock::now();
    EXPECT_EQ(ask(read("SELECT 1"), Context{}.within(150ms)), "unavailable");
    EXPECT_LT(std::chrono::steady_clock::now() - started, 1s);
  }
  server_.thaw();
  EXPECT_TRUE(comes_back());
}

TEST_F(Faults, ABackendThatIsTerminatedIsReplaced) {
  ASSERT_EQ(ask(read("SELECT 1")), "1");
  for (int i = 0; i < 3; ++i) {
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'postgres_test' AND datname = current_database()");
    EXPECT_TRUE(comes_back());
  }
}

TEST_F(Faults, ALostCommitIsUnknownAndNeverTold) {
  sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
      " $$BEGIN PERFORM pg_sleep(4); RETURN NULL; END$$;"
      "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED"
      " FOR EACH ROW EXECUTE FUNCTION slow()");
  const auto killer = after(200ms, [this] { server_.kill(); });
  EXPECT_EQ(run_on(*loops_, commit_is_lost(database_.get())), "unavailable");
}

TEST_F(Faults, AServerThatIsNotThereYetIsWaitedFor) {
  server_.kill();
  open();
  EXPECT_EQ(ask(read("SELECT 1"), Context{}.within(2s)), "unavailable");
  server_.start();
  EXPECT_TRUE(comes_back());
}

// A machine that is gone refuses nobody: it takes the whole time of an attempt and says nothing.
TEST_F(Faults, AServerThatSaysNothingDoesNotHideTheNext) {
  PrivatePostgres gone;
  gone.freeze();
  const auto alive = dsn_.reveal();
  dsn_ = Secret<>{std::format("host=127.0.0.1,127.0.0.1 port={},{} {}", gone.port(), server_.port(),
                              alive.substr(alive.find("user=")))};
  open({.connect_timeout = 300ms});
  EXPECT_EQ(run_on(*loops_, ask_until_answered(database_.get())), "back");
  EXPECT_EQ(run_on(*loops_, lease_and_ask(database_.get())), "leased");
  gone.thaw();
}

TEST_F(Faults, ANameIsResolvedOutsideTheLoop) {
  const auto by_address = dsn_.reveal();
  dsn_ = Secret<>{"host=localhost" + by_address.substr(by_address.find(" port"))};
  open();
  EXPECT_EQ(ask(read("SELECT 'resolved'")), "resolved");
  dsn_ = Secret<>{"host=no-such-host.invalid" + by_address.substr(by_address.find(" port"))};
  open();
  EXPECT_EQ(ask(read("SELECT 1"), Context{}.within(5s)), "unavailable");
}

}  // namespace
}  // namespace stoa::postgres
