// What a program with a database does before it serves, against a schema that is faked here: the
// real one is servicekit/postgres's to test.
#include <array>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <gtest/gtest.h>

#include "servicekit/runtime/service.hpp"

namespace stoa::runtime {
namespace {

constexpr std::array<postgres::Migration, 2> migrations{
    postgres::Migration{.number = 1, .name = "a", .sql = ""},
    postgres::Migration{.number = 2, .name = "b", .sql = ""}};

int fake_version = 0;
int asked = 0;
int failures_left = 0;
std::size_t migrated = 0;
std::string migrated_dsn;

int ask(const Secret<>&) {
  ++asked;
  if (failures_left-- > 0) throw std::runtime_error{"no connection"};
  return fake_version;
}

void apply(const Secret<>& dsn, std::span<const postgres::Migration> all) {
  migrated = all.size();
  migrated_dsn = dsn.reveal();
}

class ProgramSchema : public testing::Test {
 protected:
  ProgramSchema() {
    ::setenv("STOA_DATABASE_DSN", "host=a", 1);     // NOLINT(concurrency-mt-unsafe)
    ::setenv("STOA_MIGRATE_DSN", "host=owner", 1);  // NOLINT(concurrency-mt-unsafe)
    fake_version = 2;
    asked = 0;
    failures_left = 0;
    program_.migrations.migrations = migrations;
    program_.migrations.migrate = apply;
    program_.migrations.version = ask;
  }
  ~ProgramSchema() override {
    ::unsetenv("STOA_DATABASE_DSN");  // NOLINT(concurrency-mt-unsafe)
    ::unsetenv("STOA_MIGRATE_DSN");   // NOLINT(concurrency-mt-unsafe)
  }

  int run(std::string command) {
    std::string name = "probe";
    std::array<char*, 2> words{name.data(), command.data()};
    return run_program(program_, 2, words.data());
  }

  int served = 0;

 private:
  Program program_{.name = "probe", .default_port = 3099, .serve = [this] {
                     ++served;
                     return 0;
                   }};
};

TEST_F(ProgramSchema, ServesOnTheSchemaItNeedsOrANewerOne) {
  EXPECT_EQ(run("serve"), 0);
  fake_version = 3;
  EXPECT_EQ(run("serve"), 0);
  EXPECT_EQ(served, 2);
}

TEST_F(ProgramSchema, RefusesToServeOnAnOlderSchema) {
  fake_version = 1;
  testing::internal::CaptureStderr();
  EXPECT_EQ(run("serve"), 1);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(served, 0);
  EXPECT_TRUE(said.contains(R"("event":"schema_too_old")"));
  EXPECT_TRUE(said.contains(R"("schema":1,"needed":2)"));
}

TEST_F(ProgramSchema, WaitsForADatabaseThatIsNotThereYet) {
  failures_left = 2;
  EXPECT_EQ(run("serve"), 0);
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(served, 1);
}

TEST_F(ProgramSchema, EndsWhenItIsToldToWhileItWaits) {
  failures_left = 1'000'000;
  // Held back in every thread, as the first process of a container would have it: only the wait
  // takes it.
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  ::kill(::getpid(), SIGTERM);
  EXPECT_EQ(run("serve"), 0);
  ::pthread_sigmask(SIG_UNBLOCK, &ending, nullptr);
  EXPECT_EQ(served, 0);
}

TEST_F(ProgramSchema, MigratesByTheOwnersDsn) {
  EXPECT_EQ(run("migrate"), 0);
  EXPECT_EQ(migrated, 2U);
  EXPECT_EQ(migrated_dsn, "host=owner");
  EXPECT_EQ(served, 0);
}

TEST_F(ProgramSchema, SaysThatANewerSchemaStays) {
  fake_version = 3;
  testing::internal::CaptureStderr();
  EXPECT_EQ(run("migrate"), 0);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(said.contains(R"("event":"migrated")"));
  EXPECT_TRUE(said.contains(R"("schema":3,"needed":2)"));
}

}  // namespace
}  // namespace stoa::runtime
