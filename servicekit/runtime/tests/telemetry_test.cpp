// Telemetry as others see it: on /metrics, at a collector, on a log that nobody reads.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "servicekit/runtime/tests/probe_process.hpp"
#include "servicekit/testing/raw_client.hpp"

namespace stoa::runtime {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;
using Settings = std::map<std::string, std::string>;

Settings traced(const std::string& url) {
  return {
      {"STOA_ADDRESS", "127.0.0.1"}, {"STOA_ADMIN_ADDRESS", "127.0.0.1"}, {"STOA_PORT", "0"},
      {"STOA_ADMIN_PORT", "0"},      {"STOA_TRACE_RATIO", "1"},           {"STOA_OTLP_URL", url}};
}

std::string get(std::uint16_t port, std::string_view path, std::string_view headers = "") {
  return testing_support::exchange(
      port,
      std::format("GET {} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{}\r\n", path, headers));
}

/// Names before the first ':' of every line of a YAML file of one-line entries.
std::set<std::string> names_in(const std::filesystem::path& file) {
  std::set<std::string> names;
  std::ifstream lines{file};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('#') && line.contains(':')) names.insert(line.substr(0, line.find(':')));
  }
  return names;
}

TEST(Telemetry, ShowsOnlyMetricsOfTheContract) {
  const auto known = names_in("contracts/telemetry/metrics.yaml");
  ASSERT_TRUE(known.contains("stoa_build_info"));
  ProbeProcess probe{traced("")};
  get(probe.port(), "/answer");
  const std::string metrics = get(probe.admin_port(), "/metrics");
  const std::regex type_line{"# TYPE ([a-z0-9_]+) "};
  const std::sregex_iterator first{metrics.begin(), metrics.end(), type_line};
  ASSERT_NE(first, std::sregex_iterator{});
  for (auto match = first; match != std::sregex_iterator{}; ++match) {
    EXPECT_TRUE(known.contains((*match)[1])) << (*match)[1] << " is not in metrics.yaml";
  }
}

TEST(Telemetry, LogsOnlyFieldsOfTheContract) {
  const auto known = names_in("contracts/telemetry/log-fields.yaml");
  ProbeProcess probe{traced("")};
  get(probe.port(), "/answer");
  probe.signal(SIGTERM);
  ASSERT_EQ(probe.exit_code(), 0);
  const std::string log = probe.output();
  ASSERT_THAT(log, HasSubstr(R"("event":"http_request")"));
  const std::regex member{R"re([{,]"([a-z_]+)":)re"};
  const std::set<std::string> of_the_probe{"part", "number"};
  for (std::sregex_iterator match{log.begin(), log.end(), member}; match != std::sregex_iterator{};
       ++match) {
    const std::string name = (*match)[1];
    EXPECT_TRUE(known.contains(name) || of_the_probe.contains(name))
        << name << " is not in log-fields.yaml";
  }
}

/// tools/otlp-sink as a process.
class Sink {
 public:
  Sink() {
    const std::string line = process_.wait_for_output("}");
    port = static_cast<std::uint16_t>(std::stoi(line.substr(line.find(':') + 1)));
  }
  std::string url() const { return std::format("http://127.0.0.1:{}", port); }
  std::uint16_t port = 0;

 private:
  ProbeProcess process_{{{"PATH", "/usr/bin"}},
                        {std::filesystem::absolute("tools/otlp-sink/otlp-sink")},
                        "/usr/bin/python3"};
};

TEST(Telemetry, SpansReachACollectorUnderTheTraceIdOfTheCaller) {
  const Sink sink;
  ProbeProcess probe{traced(sink.url())};
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  get(probe.port(), "/answer", std::format("traceparent: 00-{}-00f067aa0ba902b7-01\r\n", trace));
  std::string found;
  const auto until = Clock::now() + 10s;
  while (!found.contains("GET /answer") && Clock::now() < until) {
    std::this_thread::sleep_for(20ms);
    found = get(sink.port, "/spans?trace_id=" + trace);
  }
  EXPECT_THAT(found, HasSubstr(R"("name": "GET /answer")"));
  EXPECT_THAT(found, HasSubstr(R"("parent_span_id": "00f067aa0ba902b7")"));
  EXPECT_THAT(found, HasSubstr(R"("service.name": "probe-service")"));
  EXPECT_THAT(found, HasSubstr(R"("http.response.status_code": 200)"));
}

TEST(Telemetry, FlushesTheLastSpansWhenItStops) {
  const Sink sink;
  ProbeProcess probe{traced(sink.url())};
  get(probe.port(), "/answer");
  probe.signal(SIGTERM);
  ASSERT_EQ(probe.exit_code(), 0);
  EXPECT_THAT(get(sink.port, "/spans"), HasSubstr(R"("name": "GET /answer")"));
}

TEST(Telemetry, AnAbsentCollectorSlowsNoRequestAndNoStop) {
  ProbeProcess probe{traced("http://127.0.0.1:1")};
  const std::uint16_t port = probe.port();
  const auto began = Clock::now();
  for (int i = 0; i < 50; ++i) EXPECT_THAT(get(port, "/answer"), HasSubstr("200 OK"));
  EXPECT_LT(Clock::now() - began, 2s);
  probe.signal(SIGTERM);
  EXPECT_EQ(probe.exit_code(), 0);
}

TEST(Telemetry, AHangingCollectorSlowsNoRequestAndHoldsUpTheStopOnlyAMoment) {
  ProbeProcess hanging{traced("")};  // stopped below: it accepts and says nothing
  const std::string url = std::format("http://127.0.0.1:{}", hanging.port());
  hanging.signal(SIGSTOP);
  ProbeProcess probe{traced(url)};
  const std::uint16_t port = probe.port();
  auto began = Clock::now();
  for (int i = 0; i < 50; ++i) EXPECT_THAT(get(port, "/answer"), HasSubstr("200 OK"));
  EXPECT_LT(Clock::now() - began, 2s);
  began = Clock::now();
  probe.signal(SIGTERM);
  EXPECT_EQ(probe.exit_code(), 0);
  EXPECT_LT(Clock::now() - began, 6s);
}

}  // namespace
}  // namespace stoa::runtime
