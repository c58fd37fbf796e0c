#include <chrono>
#include <csignal>
#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "servicekit/runtime/tests/probe_process.hpp"
#include "servicekit/testing/raw_client.hpp"

namespace stoa::runtime {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Clock = std::chrono::steady_clock;
using Settings = std::map<std::string, std::string>;

Settings with(Settings more) {
  more.insert({{"STOA_ADDRESS", "127.0.0.1"},
               {"STOA_ADMIN_ADDRESS", "127.0.0.1"},
               {"STOA_PORT", "0"},
               {"STOA_ADMIN_PORT", "0"}});
  return more;
}

std::string get(std::uint16_t port, std::string_view path) {
  return testing_support::exchange(
      port, std::format("GET {} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", path));
}

TEST(Process, AnswersProbesOnItsAdminPort) {
  ProbeProcess probe{with({})};
  const std::uint16_t admin = probe.admin_port();
  EXPECT_THAT(get(admin, "/livez"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(get(admin, "/startupz"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(get(admin, "/readyz"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(get(admin, "/metrics"), HasSubstr("stoa_build_info{service=\"probe-service\""));
  EXPECT_THAT(get(admin, "/nothing"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(testing_support::exchange(admin, "POST /livez HTTP/1.1\r\nhost: a\r\n\r\n"),
              StartsWith("HTTP/1.1 405 "));
  EXPECT_EQ(testing_support::exchange(admin, std::string(10'000, 'x')), "");
}

TEST(Process, TellsTheReleaseOfItsImage) {
  ProbeProcess released{with({{"STOA_VERSION", "1.4.0"}})};
  EXPECT_THAT(get(released.admin_port(), "/metrics"), HasSubstr("version=\"1.4.0\"} 1\n"));
  ProbeProcess local{with({{"STOA_VERSION", ""}})};  // as in an image that nobody released
  EXPECT_THAT(get(local.admin_port(), "/metrics"), HasSubstr("version=\"unreleased\"} 1\n"));
}

TEST(Process, IsReadyWhenItCanJudgeTokens) {
  ProbeProcess probe{with({{"STOA_PROBE_PREPARES_MS", "300"}})};
  EXPECT_THAT(get(probe.admin_port(), "/readyz"), StartsWith("HTTP/1.1 200 "));
  const std::string log = probe.output();
  const std::size_t took = log.find(R"("start_ms":)");
  ASSERT_NE(took, std::string::npos);
  EXPECT_GE(std::stoi(log.substr(took + std::string_view{R"("start_ms":)"}.size())), 300);
  EXPECT_THAT(log, Not(HasSubstr("ready_unprepared")));
}

TEST(Process, IsReadyAfterTenSecondsWhateverItKnows) {
  ProbeProcess probe{with({{"STOA_PROBE_PREPARES_MS", "60000"}})};
  EXPECT_GT(probe.admin_port(), 0);
  EXPECT_THAT(probe.output(), HasSubstr(R"("event":"ready_unprepared")"));
}

TEST(Process, IsNeverReadyWhenItWasStoppedBefore) {
  ProbeProcess probe{with({{"STOA_PROBE_PREPARES_MS", "500"}})};
  ASSERT_NE(probe.wait_for_output(R"("event":"turn")"), "");
  probe.signal(SIGTERM);
  EXPECT_EQ(probe.exit_code(), 0);
  EXPECT_THAT(probe.output(), Not(HasSubstr(R"("event":"ready")")));
}

TEST(Process, FinishesRequestsInHandAndStopsItsPartsInReverse) {
  ProbeProcess probe{with({})};
  const std::uint16_t port = probe.port();
  const std::uint16_t admin = probe.admin_port();
  auto slow = std::async(std::launch::async, [&] { return get(port, "/slow"); });
  // The request is in hand once the gauge says so.
  while (!get(admin, "/metrics").contains("\nstoa_http_server_in_flight 1\n")) {
    std::this_thread::sleep_for(1ms);
  }
  probe.signal(SIGTERM);
  ASSERT_NE(probe.wait_for_output(R"("event":"stopping")"), "");
  EXPECT_THAT(get(admin, "/readyz"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(get(admin, "/livez"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(slow.get(), HasSubstr(R"({"slow":true})"));
  EXPECT_EQ(probe.exit_code(), 0);
  const std::string log = probe.output();
  const std::size_t second = log.find(R"("part":"second")");
  const std::size_t first = log.find(R"("part":"first")");
  ASSERT_NE(first, std::string::npos);
  EXPECT_LT(second, first);
  EXPECT_LT(log.find(R"("route":"/slow")"), second);
}

TEST(Process, StopsUnderLoadWithoutAFailedRequest) {
  ProbeProcess probe{with({{"STOA_LOOPS", "2"}})};
  const std::uint16_t port = probe.port();
  std::atomic<int> answered{0};
  std::atomic<int> broken{0};
  std::atomic<int> unseen{0};
  std::vector<std::jthread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      while (true) {
        std::string answer;
        try {
          answer = get(port, "/answer");
        } catch (const std::system_error&) {
          return;  // nobody listens any more: refused, not failed
        }
        // The kernel completes a handshake by itself: between the last accept and the close of a
        // listener a connection may come that no process ever sees. Its client repeats the request.
        ++(answer.starts_with("HTTP/1.1 200 ") ? answered : answer.empty() ? unseen : broken);
      }
    });
  }
  while (answered < 200) std::this_thread::sleep_for(1ms);
  probe.signal(SIGTERM);
  EXPECT_EQ(probe.exit_code(), 0);
  clients.clear();
  EXPECT_EQ(broken, 0);
  EXPECT_LE(unseen, 2) << "more than one for each of the two listeners";
}

TEST(Process, AlsoStopsOnInterrupt) {
  ProbeProcess probe{with({})};
  ASSERT_GT(probe.port(), 0);
  probe.signal(SIGINT);
  EXPECT_EQ(probe.exit_code(), 0);
  EXPECT_THAT(probe.output(), HasSubstr(R"("event":"stopped")"));
}

TEST(Process, EndsAtOnceOnASecondSignal) {
  ProbeProcess probe{with({{"STOA_PROBE_HANGS", "true"}})};
  ASSERT_GT(probe.port(), 0);
  probe.signal(SIGTERM);
  ASSERT_NE(probe.wait_for_output(R"("event":"stopping")"), "");
  const auto began = Clock::now();
  probe.signal(SIGTERM);
  EXPECT_EQ(probe.exit_code(), 128 + SIGTERM);
  EXPECT_LT(Clock::now() - began, 2s);
}

TEST(Process, EndsWithinTenSecondsWhenAPartDoesNotStop) {
  ProbeProcess probe{with({{"STOA_PROBE_HANGS", "true"}})};
  ASSERT_GT(probe.port(), 0);
  const auto began = Clock::now();
  probe.signal(SIGTERM);
  EXPECT_EQ(probe.exit_code(), 1);
  EXPECT_LT(Clock::now() - began, 10s);
  EXPECT_THAT(probe.output(), HasSubstr(R"("event":"stop_overdue")"));
  EXPECT_THAT(probe.output(), HasSubstr(R"("step":"hanging")"));
}

TEST(Process, RepeatsAPeriodicTaskAlsoAfterAFailure) {
  ProbeProcess probe{with({})};
  ASSERT_NE(probe.wait_for_output(R"("number":5})"), "");
  EXPECT_THAT(probe.output(), HasSubstr(R"("event":"periodic_task_failed")"));
  EXPECT_THAT(probe.output(), HasSubstr(R"("event":"periodic_task_broken")"));
  EXPECT_THAT(get(probe.admin_port(), "/metrics"),
              HasSubstr("stoa_periodic_failures_total{task=\"sweep\"} 2\n"));
}

TEST(Process, MeasuresTheLagOfEachLoop) {
  ProbeProcess probe{with({{"STOA_LOOPS", "2"}})};
  const std::string metrics = get(probe.admin_port(), "/metrics");
  EXPECT_THAT(metrics, HasSubstr("stoa_loop_lag_seconds_count{loop=\"0\"}"));
  EXPECT_THAT(metrics, HasSubstr("stoa_loop_lag_seconds_count{loop=\"1\"}"));
}

TEST(Process, SaysWhichAddressIsTaken) {
  ProbeProcess first{with({})};
  const std::string port = std::to_string(first.admin_port());
  ProbeProcess second{with({{"STOA_ADMIN_PORT", port}})};
  EXPECT_EQ(second.exit_code(), 1);
  EXPECT_THAT(second.output(), HasSubstr("the admin port 127.0.0.1:" + port + " cannot be had"));
}

TEST(Program, NamesEveryBadSettingAndExitsWith1) {
  ProbeProcess probe{with({{"STOA_PORT", "x"},
                           {"STOA_LOOPS", "0"},
                           {"STOA_OTLP_URL", "ftp://a"},
                           {"STOA_MISPELT", "1"}})};
  EXPECT_EQ(probe.exit_code(), 1);
  for (const char* problem :
       {"STOA_PORT must be a whole number from 0 to 65535",
        "STOA_LOOPS must be a whole number from 1 to 64", "STOA_OTLP_URL must be http://host:port",
        "STOA_MISPELT is not a setting of this service"}) {
    EXPECT_THAT(probe.output(), HasSubstr(problem));
  }
}

TEST(Program, RunsItsOwnCommands) {
  ProbeProcess probe{{}, {"count", "a", "b"}};
  EXPECT_EQ(probe.exit_code(), 2);
}

TEST(Program, ExplainsItself) {
  ProbeProcess probe{{}, {"help"}};
  EXPECT_EQ(probe.exit_code(), 0);
  EXPECT_THAT(probe.output(), HasSubstr("healthcheck"));
  EXPECT_THAT(probe.output(), HasSubstr("exit with the number of arguments"));
  EXPECT_THAT(probe.output(), Not(HasSubstr("migrate")));  // it has no database
}

TEST(Program, RefusesACommandItDoesNotKnow) {
  ProbeProcess probe{{}, {"migrate"}};
  EXPECT_EQ(probe.exit_code(), 2);
  EXPECT_THAT(probe.output(), HasSubstr("probe-service has no command migrate"));
}

TEST(Program, HealthcheckAsksTheAdminPort) {
  ProbeProcess probe{with({})};
  const std::string port = std::to_string(probe.admin_port());
  ProbeProcess ready{with({{"STOA_ADMIN_PORT", port}}), {"healthcheck"}};
  EXPECT_EQ(ready.exit_code(), 0);
  probe.signal(SIGKILL);
  EXPECT_EQ(probe.exit_code(), -SIGKILL);
  ProbeProcess gone{with({{"STOA_ADMIN_PORT", port}}), {"healthcheck"}};
  EXPECT_EQ(gone.exit_code(), 1);
}

TEST(CrashPoint, EndsTheProcessAtTheNthPassage) {
  ProbeProcess probe{with({{"STOA_CRASH_AT", "probe.answer:3"}})};
  const std::uint16_t port = probe.port();
  EXPECT_THAT(get(port, "/answer"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(get(port, "/answer"), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(get(port, "/answer"), "");
  EXPECT_EQ(probe.exit_code(), 137);
}

TEST(Mutant, SwitchesOffWhatItNames) {
  ProbeProcess probe{with({{"STOA_MUTANT", "probe.answers_nothing"}})};
  EXPECT_THAT(get(probe.port(), "/answer"), StartsWith("HTTP/1.1 204 "));
}

TEST(Mutant, OfAnotherProgramIsAMistake) {
  ProbeProcess probe{with({{"STOA_MUTANT", "probe.answers_twice"}})};
  EXPECT_EQ(probe.exit_code(), 1);
  EXPECT_THAT(probe.output(), HasSubstr("STOA_MUTANT"));
  EXPECT_THAT(probe.output(), HasSubstr("probe.answers_nothing"));
}

TEST(CrashPoint, OfAnotherNameIsPassed) {
  ProbeProcess probe{with({{"STOA_CRASH_AT", "probe.other"}})};
  EXPECT_THAT(get(probe.port(), "/answer"), StartsWith("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace stoa::runtime
