#include <chrono>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/private_postgres.hpp"
#include "servicekit/testing/run.hpp"

#include "services/user-service/adapters/pg_user_store.hpp"
#include "services/user-service/config.hpp"
#include "services/user-service/tests/fake_user_store.hpp"

// One suite for the fake and for PostgreSQL: what the use cases are tested with behaves like what
// they run with.
namespace stoa::user {
namespace {

using namespace std::chrono_literals;
using testing_support::PrivatePostgres;

TokenHash token(char filling) { return {std::string(32, filling)}; }

/// A store with a clock that can be turned.
class World {
 public:
  virtual ~World() = default;
  virtual UserStore& store() = 0;
  virtual Loops& loops() = 0;
  virtual void pass(std::chrono::seconds time) = 0;
  virtual std::vector<std::string> facts() = 0;
};

class FakeWorld final : public World {
 public:
  UserStore& store() override { return store_; }
  Loops& loops() override { return loops_; }
  void pass(std::chrono::seconds time) override { store_.now += time; }
  std::vector<std::string> facts() override { return store_.facts; }

 private:
  Loops loops_{1};
  FakeUserStore store_;
};

class PostgresWorld final : public World {
 public:
  PostgresWorld() { database_.start(); }
  UserStore& store() override { return store_; }
  Loops& loops() override { return loops_; }

  // Time passes by making everything older.
  void pass(std::chrono::seconds time) override {
    const std::string by = std::format("interval '{} seconds'", time.count());
    PrivatePostgres::sql(dsn_,
                         "UPDATE sessions SET created_at = created_at - " + by +
                             ", expires_at = expires_at - " + by + ", ended_at = ended_at - " + by +
                             "; UPDATE refresh_tokens SET replaced_at = replaced_at - " + by +
                             "; UPDATE login_failures SET last_failed_at = last_failed_at - " + by);
  }

  std::vector<std::string> facts() override {
    std::vector<std::string> told;
    const std::string all = PrivatePostgres::sql(
        dsn_, "SELECT string_agg(type || ' ' || subject, ',' ORDER BY seq) FROM outbox");
    std::string_view rest{all};
    while (!rest.empty()) {
      const auto comma = rest.find(',');
      told.emplace_back(rest.substr(0, comma));
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
    return told;
  }

 private:
  Secret<> dsn_ = PrivatePostgres::shared().database(migrations());
  telemetry::Telemetry telemetry_{{.service = "user-test", .log_level = "error"}};
  Loops loops_{1};
  postgres::Database database_{loops_, {.dsn = dsn_, .application_name = "test"}, telemetry_};
  PgUserStore store_{database_};
};

std::unique_ptr<World> fake_world() { return std::make_unique<FakeWorld>(); }
std::unique_ptr<World> postgres_world() { return std::make_unique<PostgresWorld>(); }

class UserStoreSuite : public testing::TestWithParam<std::unique_ptr<World> (*)()> {
 protected:
  void SetUp() override {
    world = GetParam()();
    // The connection of the real one is made in the background.
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (!reachable()) ASSERT_LT(std::chrono::steady_clock::now(), until);
  }

  bool reachable() {
    try {
      run(world->store().find(context(), UserId{}));
      return true;
    } catch (const Unavailable&) {
      run(sleep_for(5ms));
      return false;
    }
  }

  template <class T>
  T run(Task<T> task) {
    return testing_support::run_on(world->loops(), std::move(task));
  }

  static Context context() { return Context{}.within(5s); }

  User add(const std::string& email, char filling, SessionId session = {crypto::new_uuid()}) {
    const User user{.id = {crypto::new_uuid()},
                    .email = email,
                    .name = "Ada",
                    .role = Role::customer,
                    .created_at = Instant{1'700'000'000'123ms},
                    .version = 1};
    EXPECT_TRUE(run(world->store().insert(context(), user, PasswordHash{"hash"},
                                          {.id = session, .token = token(filling)})));
    return user;
  }

  std::optional<PresentedSession> rotate(char from, char to) {
    return run(world->store().rotate(context(), token(from), token(to)));
  }

  std::unique_ptr<World> world;
};

INSTANTIATE_TEST_SUITE_P(Fake, UserStoreSuite, testing::Values(&fake_world));
INSTANTIATE_TEST_SUITE_P(Postgres, UserStoreSuite, testing::Values(&postgres_world));

TEST_P(UserStoreSuite, KeepsAUserAndTellsIt) {
  const User user = add("ada@example.com", 'a');
  EXPECT_EQ(run(world->store().find(context(), user.id)), user);
  const auto record = run(world->store().find_login(context(), "ada@example.com"));
  ASSERT_TRUE(record.account);
  EXPECT_EQ(record.account->user, user);
  EXPECT_EQ(record.account->password.value, "hash");
  EXPECT_EQ(world->facts(), std::vector<std::string>{"user.registered " + user.id.str()});
}

TEST_P(UserStoreSuite, TakesAnAddressOnce) {
  add("ada@example.com", 'a');
  const User twin{.id = {crypto::new_uuid()}, .email = "ada@example.com", .name = "Eve"};
  EXPECT_FALSE(run(world->store().insert(context(), twin, PasswordHash{"other"},
                                         {.id = {crypto::new_uuid()}, .token = token('b')})));
  EXPECT_FALSE(rotate('b', 'c')) << "nothing of the second is kept";
  EXPECT_EQ(world->facts().size(), 1U);
}

TEST_P(UserStoreSuite, RotatesATokenOnce) {
  const SessionId session{crypto::new_uuid()};
  const User user = add("ada@example.com", 'a', session);
  const auto first = rotate('a', 'b');
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->token.rotated);
  EXPECT_EQ(first->id, session);
  EXPECT_EQ(first->user, user);

  world->pass(3s);
  const auto again = rotate('a', 'b');
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->token.rotated);
  EXPECT_FALSE(again->token.successor_used);
  EXPECT_GE(again->token.since_replaced, 3s);
  EXPECT_LT(again->token.since_replaced, 10s);

  EXPECT_TRUE(rotate('b', 'c')->token.rotated);
  EXPECT_TRUE(rotate('a', 'b')->token.successor_used);
  EXPECT_FALSE(rotate('z', 'y'));
}

TEST_P(UserStoreSuite, DoesNotRotateATokenOfASessionThatIsOver) {
  const SessionId session{crypto::new_uuid()};
  add("ada@example.com", 'a', session);
  run(world->store().end_session(context(), session, EndReason::token_reused));
  const auto ended = rotate('a', 'b');
  EXPECT_TRUE(ended->token.ended);
  EXPECT_FALSE(ended->token.rotated);

  add("bob@example.com", 'k');
  world->pass(std::chrono::days{30} + 1s);
  const auto expired = rotate('k', 'l');
  EXPECT_TRUE(expired->token.expired);
  EXPECT_FALSE(expired->token.rotated);
}

TEST_P(UserStoreSuite, ProlongsASessionThatIsUsed) {
  add("ada@example.com", 'a');
  world->pass(std::chrono::days{20});
  EXPECT_TRUE(rotate('a', 'b')->token.rotated);
  world->pass(std::chrono::days{20});
  EXPECT_TRUE(rotate('b', 'c')->token.rotated);
}

TEST_P(UserStoreSuite, CountsFailuresAlsoWithoutAnAccount) {
  auto& store = world->store();
  for (int i = 0; i < 3; ++i) run(store.record_failure(context(), "nobody@example.com"));
  world->pass(60s);
  const auto record = run(store.find_login(context(), "nobody@example.com"));
  EXPECT_FALSE(record.account);
  EXPECT_EQ(record.failures.count, 3);
  EXPECT_GE(record.failures.since_last, 60s);
  EXPECT_LT(record.failures.since_last, 70s);
  EXPECT_EQ(run(store.find_login(context(), "other@example.com")).failures.count, 0);
}

TEST_P(UserStoreSuite, ForgetsFailuresAfterASuccessOrADay) {
  auto& store = world->store();
  const User user = add("ada@example.com", 'a');
  run(store.record_failure(context(), user.email));
  run(store.open_session(context(), user.id, user.email,
                         {.id = {crypto::new_uuid()}, .token = token('b')}));
  EXPECT_EQ(run(store.find_login(context(), user.email)).failures.count, 0);
  EXPECT_TRUE(rotate('b', 'c')->token.rotated);

  run(store.record_failure(context(), user.email));
  run(store.record_failure(context(), user.email));
  world->pass(25h);
  run(store.record_failure(context(), user.email));
  EXPECT_EQ(run(store.find_login(context(), user.email)).failures.count, 1);
}

TEST_P(UserStoreSuite, EndsSessionsAndTellsWhichAndWhen) {
  auto& store = world->store();
  const SessionId first{crypto::new_uuid()};
  const SessionId second{crypto::new_uuid()};
  const SessionId third{crypto::new_uuid()};
  const User user = add("ada@example.com", 'a', first);
  run(store.open_session(context(), user.id, user.email, {.id = second, .token = token('b')}));
  run(store.open_session(context(), user.id, user.email, {.id = third, .token = token('c')}));
  EXPECT_TRUE(run(store.revoked(context(), std::nullopt, std::nullopt)).sessions.empty());

  run(store.end_session_of(context(), token('b')));
  run(store.end_session_of(context(), token('z')));
  const auto one = run(store.revoked(context(), std::nullopt, std::nullopt));
  ASSERT_EQ(one.sessions.size(), 1U);
  EXPECT_EQ(one.sessions[0].id, second);

  world->pass(100s);
  run(store.end_sessions(context(), user.id, third, EndReason::password_changed));
  const auto two = run(store.revoked(context(), std::nullopt, std::nullopt));
  ASSERT_EQ(two.sessions.size(), 2U);
  EXPECT_EQ(two.sessions[1].id, first) << "oldest first";
  const auto recent = run(store.revoked(context(), two.now - 50s, std::nullopt));
  ASSERT_EQ(recent.sessions.size(), 1U);
  EXPECT_EQ(recent.sessions[0].id, first);

  run(store.end_sessions(context(), user.id, std::nullopt, EndReason::logout_all));
  EXPECT_EQ(run(store.revoked(context(), std::nullopt, std::nullopt)).sessions.size(), 3U);
  world->pass(16min + 1s);
  EXPECT_TRUE(run(store.revoked(context(), std::nullopt, std::nullopt)).sessions.empty());
  EXPECT_TRUE(run(store.revoked(context(), Instant{}, std::nullopt)).sessions.empty())
      << "never further back";
}

TEST_P(UserStoreSuite, TellsSessionsThatEndedInTheSameInstantOneAfterTheOther) {
  auto& store = world->store();
  const User user = add("ada@example.com", 'a', SessionId{crypto::new_uuid()});
  for (const char c : {'b', 'c'}) {
    NewSession session{.id = SessionId{crypto::new_uuid()}, .token = token(c)};
    run(store.open_session(context(), user.id, user.email, std::move(session)));
  }
  run(store.end_sessions(context(), user.id, std::nullopt, EndReason::logout_all));
  const auto all = run(store.revoked(context(), std::nullopt, std::nullopt)).sessions;
  ASSERT_EQ(all.size(), 3U);
  ASSERT_EQ(all.front().revoked_at, all.back().revoked_at);

  const auto rest = run(store.revoked(context(), std::nullopt, all[0].id)).sessions;
  ASSERT_EQ(rest.size(), 2U);
  EXPECT_EQ(rest[0].id, all[1].id);
  EXPECT_EQ(rest[1].id, all[2].id);
  EXPECT_TRUE(run(store.revoked(context(), std::nullopt, all[2].id)).sessions.empty());
}

TEST_P(UserStoreSuite, ChangesWhatIsGivenAndCountsVersions) {
  auto& store = world->store();
  const User user = add("ada@example.com", 'a');
  const auto named =
      run(store.update(context(), user.id, {.email = {}, .name = "Countess", .password = {}}, {}));
  ASSERT_TRUE(named);
  EXPECT_EQ(named->name, "Countess");
  EXPECT_EQ(named->email, user.email);
  EXPECT_EQ(named->version, 2);
  EXPECT_EQ(run(store.find_password(context(), user.id))->value, "hash");

  const auto both = run(store.update(
      context(), user.id,
      {.email = "countess@example.com", .name = {}, .password = PasswordHash{"new"}}, 2));
  ASSERT_TRUE(both);
  EXPECT_EQ(both->email, "countess@example.com");
  EXPECT_EQ(run(store.find_password(context(), user.id))->value, "new");
  EXPECT_EQ(run(store.find(context(), user.id)), *both);
}

TEST_P(UserStoreSuite, RefusesAStaleVersionATakenAddressAndAStranger) {
  auto& store = world->store();
  const User ada = add("ada@example.com", 'a');
  add("bob@example.com", 'b');
  const UserChange name{.email = {}, .name = "X", .password = {}};
  const UserChange taken{.email = "bob@example.com", .name = {}, .password = {}};
  EXPECT_EQ(run(store.update(context(), ada.id, name, 7)).error().code, "etag_mismatch");
  EXPECT_EQ(run(store.update(context(), ada.id, taken, {})).error().code, "email_taken");
  EXPECT_EQ(run(store.update(context(), {crypto::new_uuid()}, name, {})).error().code,
            "user_not_found");
  const UserChange own{.email = "ada@example.com", .name = {}, .password = {}};
  EXPECT_TRUE(run(store.update(context(), ada.id, own, {})));
}

Task<> take_address(UserStore* store, Context context, UserId id, int* taken, int* done) {
  UserChange change{.email = "wanted@example.com", .name = {}, .password = {}};
  const auto updated = co_await store->update(context, id, std::move(change), {});
  if (updated) ++*taken;
  EXPECT_TRUE(updated || updated.error().code == "email_taken");
  ++*done;
}

Task<> until_done(const int* done, int all) {
  while (*done < all) co_await sleep_for(1ms);
}

TEST_P(UserStoreSuite, GivesAnAddressToOneOfManyAtOnce) {
  constexpr int contenders = 12;
  int taken = 0;
  int done = 0;
  for (int i = 0; i < contenders; ++i) {
    const User user = add(std::format("u{}@example.com", i), static_cast<char>('a' + i));
    spawn(world->loops().at(0), "contender",
          take_address(&world->store(), context(), user.id, &taken, &done));
  }
  run(until_done(&done, contenders));
  EXPECT_EQ(taken, 1);
}

TEST_P(UserStoreSuite, ErasesAPersonAndFreesTheAddress) {
  auto& store = world->store();
  const SessionId session{crypto::new_uuid()};
  const User user = add("ada@example.com", 'a', session);
  EXPECT_TRUE(run(store.erase(context(), user.id)));
  EXPECT_FALSE(run(store.erase(context(), user.id)));
  EXPECT_FALSE(run(store.find(context(), user.id)));
  EXPECT_FALSE(run(store.find_password(context(), user.id)));
  EXPECT_FALSE(run(store.find_login(context(), user.email)).account);
  EXPECT_TRUE(rotate('a', 'b')->token.ended);
  EXPECT_EQ(run(store.revoked(context(), std::nullopt, std::nullopt)).sessions.at(0).id, session);
  EXPECT_EQ(world->facts().back(), "user.deleted " + user.id.str());
  add("ada@example.com", 'k');
}

TEST_P(UserStoreSuite, GivesARole) {
  auto& store = world->store();
  const User user = add("ada@example.com", 'a');
  EXPECT_TRUE(run(store.set_role(context(), user.email, Role::admin)));
  EXPECT_EQ(run(store.find(context(), user.id))->role, Role::admin);
  EXPECT_FALSE(run(store.set_role(context(), "nobody@example.com", Role::staff)));
}

TEST_P(UserStoreSuite, ForgetsAReplacedTokenAfterAWeek) {
  add("ada@example.com", 'a');
  EXPECT_TRUE(rotate('a', 'b')->token.rotated);
  world->pass(std::chrono::days{6});
  run(world->store().purge(context()));
  EXPECT_TRUE(rotate('a', 'b')) << "still known to have been ours";
  world->pass(std::chrono::days{1} + 1s);
  run(world->store().purge(context()));
  EXPECT_FALSE(rotate('a', 'b'));
  EXPECT_TRUE(rotate('b', 'c')->token.rotated) << "the live one stays";
}

TEST_P(UserStoreSuite, PurgesWhatEndedAMonthAgo) {
  auto& store = world->store();
  const SessionId ended{crypto::new_uuid()};
  const User user = add("ada@example.com", 'a', ended);
  run(store.end_session(context(), ended, EndReason::logout));
  world->pass(std::chrono::days{29});
  run(store.open_session(context(), user.id, user.email,
                         {.id = {crypto::new_uuid()}, .token = token('b')}));
  EXPECT_FALSE(run(store.purge(context())));
  EXPECT_TRUE(rotate('a', 'x')) << "not yet";
  world->pass(std::chrono::days{1} + 1s);
  EXPECT_FALSE(run(store.purge(context())));
  EXPECT_FALSE(rotate('a', 'x'));
  EXPECT_TRUE(rotate('b', 'c')->token.rotated);
}

}  // namespace
}  // namespace stoa::user
