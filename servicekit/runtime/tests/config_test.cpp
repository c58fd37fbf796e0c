#include "servicekit/runtime/config.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace stoa::runtime {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Environment::Get from(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

std::vector<std::string> problems_of(const Environment& environment) {
  try {
    environment.check();
  } catch (const ConfigurationError& error) {
    return error.problems();
  }
  return {};
}

class SecretFile {
 public:
  explicit SecretFile(std::string_view content)
      : path{std::filesystem::temp_directory_path() /
             ("stoa-config-test-" + std::to_string(::getpid()))} {
    std::ofstream{path} << content;
  }
  SecretFile(const SecretFile&) = delete;
  SecretFile& operator=(const SecretFile&) = delete;
  ~SecretFile() { std::filesystem::remove(path); }

  std::filesystem::path path;
};

TEST(Environment, ReadsEveryType) {
  Environment environment{from({{"STOA_TEXT", "a"},
                                {"STOA_NUMBER", "-5"},
                                {"STOA_RATIO", "0.25"},
                                {"STOA_FLAG", "true"},
                                {"STOA_WAIT_MS", "250"},
                                {"STOA_WAIT_SECONDS", "3"},
                                {"STOA_LIST", "a, b,,c "},
                                {"STOA_PEERS", "one:80,[::1]:5672"}})};
  EXPECT_EQ(environment.text("STOA_TEXT"), "a");
  EXPECT_EQ(environment.number("STOA_NUMBER", 1, -10, 10), -5);
  EXPECT_EQ(environment.ratio("STOA_RATIO", 1), 0.25);
  EXPECT_TRUE(environment.flag("STOA_FLAG", false));
  EXPECT_EQ(environment.milliseconds("STOA_WAIT_MS", 1ms, 0ms, 1s), 250ms);
  EXPECT_EQ(environment.milliseconds("STOA_WAIT_SECONDS", 1s, 1s, 10s), 3s);
  EXPECT_THAT(environment.list("STOA_LIST"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(environment.addresses("STOA_PEERS"), ElementsAre("one:80", "[::1]:5672"));
  EXPECT_THAT(problems_of(environment), IsEmpty());
}

TEST(Environment, FallsBackWhenUnsetOrEmpty) {
  Environment environment{from({{"STOA_TEXT", ""}, {"STOA_NUMBER", ""}})};
  EXPECT_EQ(environment.text("STOA_TEXT", "fallback"), "fallback");
  EXPECT_EQ(environment.number("STOA_NUMBER", 7, 0, 10), 7);
  EXPECT_EQ(environment.ratio("STOA_RATIO", 0.5), 0.5);
  EXPECT_FALSE(environment.flag("STOA_FLAG", false));
  EXPECT_THAT(environment.addresses("STOA_PEERS", "here:1"), ElementsAre("here:1"));
  EXPECT_THAT(environment.addresses("STOA_NO_PEERS", ""), IsEmpty());
  EXPECT_THAT(problems_of(environment), IsEmpty());
}

TEST(Environment, NamesEveryProblemAtOnce) {
  Environment environment{from({{"STOA_PORT", "70000"},
                                {"STOA_LOOPS", "two"},
                                {"STOA_RATIO", "1.1"},
                                {"STOA_FLAG", "yes"},
                                {"STOA_LEVEL", "loud"},
                                {"STOA_PEERS", "one:80,two"},
                                {"STOA_WAIT_MS", "5ms"}})};
  environment.text("STOA_REQUIRED");
  environment.number("STOA_PORT", 1, 0, 65535);
  environment.number("STOA_LOOPS", 1, 1, 64);
  environment.ratio("STOA_RATIO", 0);
  environment.flag("STOA_FLAG", false);
  environment.one_of("STOA_LEVEL", "info", {"info", "warn"});
  environment.addresses("STOA_PEERS");
  environment.milliseconds("STOA_WAIT_MS", 1ms, 0ms, 1s);
  environment.secret("STOA_KEY");
  EXPECT_THAT(
      problems_of(environment),
      ElementsAre("STOA_REQUIRED is required", "STOA_PORT must be a whole number from 0 to 65535",
                  "STOA_LOOPS must be a whole number from 1 to 64",
                  "STOA_RATIO must be a number from 0 to 1", "STOA_FLAG must be true or false",
                  "STOA_LEVEL must be one of: info warn",
                  "STOA_PEERS must be host:port, got \"two\"",
                  "STOA_WAIT_MS must be a whole number from 0 to 1000",
                  "STOA_KEY is required (or its file by STOA_KEY_FILE)"));
}

TEST(Environment, AcceptsTheBoundsThemselves) {
  Environment environment{from({{"STOA_LOW", "1"}, {"STOA_HIGH", "64"}, {"STOA_OVER", "65"}})};
  EXPECT_EQ(environment.number("STOA_LOW", 2, 1, 64), 1);
  EXPECT_EQ(environment.number("STOA_HIGH", 2, 1, 64), 64);
  EXPECT_EQ(environment.number("STOA_OVER", 2, 1, 64), 2);
  EXPECT_EQ(problems_of(environment).size(), 1U);
}

TEST(Environment, ASecretFileWinsOverTheText) {
  const SecretFile file{"from file\r\n"};
  Environment environment{from({{"STOA_KEY", "from text"}, {"STOA_KEY_FILE", file.path}})};
  EXPECT_EQ(environment.secret("STOA_KEY").reveal(), "from file");
}

TEST(Environment, KeepsInnerLineEndsOfASecret) {
  const SecretFile file{"-----BEGIN\nEND-----\n"};
  Environment environment{from({{"STOA_KEY_FILE", file.path}})};
  EXPECT_EQ(environment.secret("STOA_KEY").reveal(), "-----BEGIN\nEND-----");
}

TEST(Environment, RefusesASecretFileThatIsNotThere) {
  Environment environment{from({{"STOA_KEY_FILE", "/nowhere"}})};
  environment.secret("STOA_KEY");
  EXPECT_THAT(problems_of(environment),
              ElementsAre("STOA_KEY_FILE names a file that is empty or cannot be read"));
}

TEST(Environment, AnOptionalSecretMayBeAbsent) {
  Environment environment{from({})};
  EXPECT_FALSE(environment.optional_secret("STOA_KEY"));
  EXPECT_THAT(problems_of(environment), IsEmpty());
}

TEST(Environment, JoinsDsnAndPassword) {
  Environment environment{from({{"STOA_DATABASE_DSN", "host=db dbname=orders"},
                                {"STOA_DATABASE_PASSWORD", R"(it's a \ sign)"}})};
  EXPECT_EQ(environment.dsn("STOA_DATABASE").reveal(),
            R"(host=db dbname=orders password='it\'s a \\ sign')");
}

TEST(Environment, ADsnNeedsNoPassword) {
  Environment environment{from({{"STOA_DATABASE_DSN", "host=/run/postgresql"}})};
  EXPECT_EQ(environment.dsn("STOA_DATABASE").reveal(), "host=/run/postgresql");
  EXPECT_THAT(problems_of(environment), IsEmpty());
}

TEST(Environment, RefusesAPasswordInTheDsnWithoutRepeatingIt) {
  Environment environment{from({{"STOA_DATABASE_DSN", "host=db password=hunter2"}})};
  environment.dsn("STOA_DATABASE");
  ASSERT_EQ(problems_of(environment).size(), 1U);
  EXPECT_THAT(problems_of(environment)[0], HasSubstr("STOA_DATABASE_PASSWORD_FILE"));
  EXPECT_THAT(problems_of(environment)[0], testing::Not(HasSubstr("hunter2")));
}

TEST(Environment, NamesASettingThatNobodyReads) {
  ASSERT_EQ(::setenv("STOA_MISPELT", "1", 1), 0);              // NOLINT(concurrency-mt-unsafe)
  EXPECT_THAT(problems_of(Environment{from({})}), IsEmpty());  // another source than the process's
  Environment environment;
  EXPECT_THAT(problems_of(environment),
              testing::Contains("STOA_MISPELT is not a setting of this service"));
  EXPECT_NO_THROW(environment.check_read());
  environment.text("STOA_MISPELT");
  EXPECT_THAT(problems_of(environment), testing::Not(testing::Contains(HasSubstr("STOA_MISPELT"))));
  ::unsetenv("STOA_MISPELT");  // NOLINT(concurrency-mt-unsafe)
}

}  // namespace
}  // namespace stoa::runtime
