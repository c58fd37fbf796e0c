#include <array>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::telemetry {
namespace {

using namespace std::chrono_literals;

TelemetryConfig quiet() { return {.service = "test-service", .instance = "a", .log_level = "off"}; }

TEST(Metrics, AreOnTheExpositionWithTheirLabels) {
  Telemetry telemetry{quiet()};
  const Counter counter = telemetry.counter("stoa_things_total", "Things", {{"kind", "good"}});
  const Gauge gauge = telemetry.gauge("stoa_depth", "Depth");
  const Histogram histogram = telemetry.histogram("stoa_took_seconds", "Took");
  counter.add();
  counter.add(2);
  gauge.set(5);
  gauge.add(-2);
  histogram.observe(3ms);
  const std::string text = telemetry.exposition();
  EXPECT_TRUE(text.contains("# TYPE stoa_things_total counter\n"));
  EXPECT_TRUE(text.contains("stoa_things_total{kind=\"good\"} 3\n"));
  EXPECT_TRUE(text.contains("stoa_depth 3\n"));
  EXPECT_TRUE(text.contains("stoa_took_seconds_bucket{le=\"0.0025\"} 0\n"));
  EXPECT_TRUE(text.contains("stoa_took_seconds_bucket{le=\"0.005\"} 1\n"));
  EXPECT_TRUE(text.contains("stoa_took_seconds_sum 0.003\n"));
}

TEST(Metrics, AreFoundAgainUnderTheSameNameAndLabels) {
  Telemetry telemetry{quiet()};
  telemetry.counter("stoa_things_total", "Things", {{"kind", "good"}}).add();
  telemetry.counter("stoa_things_total", "Things", {{"kind", "good"}}).add();
  telemetry.counter("stoa_things_total", "Things", {{"kind", "bad"}}).add();
  const std::string text = telemetry.exposition();
  EXPECT_TRUE(text.contains("stoa_things_total{kind=\"good\"} 2\n"));
  EXPECT_TRUE(text.contains("stoa_things_total{kind=\"bad\"} 1\n"));
}

TEST(Metrics, ThatNobodyRegisteredCostNothing) {
  const Counter counter;
  counter.add();
  const Gauge gauge;
  gauge.set(1);
  const Histogram histogram;
  histogram.observe(1ms);
}

TEST(Metrics, TellAboutTheProcess) {
  Telemetry telemetry{quiet()};
  const std::string text = telemetry.exposition();
  for (const char* name :
       {"process_resident_memory_bytes ", "process_cpu_seconds_total ", "process_open_fds ",
        "process_max_fds ", "process_threads ", "process_start_time_seconds ",
        "stoa_log_lines_dropped_total 0\n", "stoa_build_info{service=\"test-service\""}) {
    EXPECT_TRUE(text.contains(name)) << name;
  }
  EXPECT_FALSE(text.contains("process_resident_memory_bytes 0\n"));
}

/// Standard output as a pipe that nobody reads, while it lives.
class UnreadOutput {
 public:
  UnreadOutput() {
    EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC), 0);
    EXPECT_GE(::dup2(ends_[1], STDOUT_FILENO), 0);
  }
  UnreadOutput(const UnreadOutput&) = delete;
  UnreadOutput& operator=(const UnreadOutput&) = delete;
  ~UnreadOutput() {
    ::dup2(before_, STDOUT_FILENO);
    for (const int descriptor : {before_, ends_[0], ends_[1]}) ::close(descriptor);
  }

 private:
  int before_ = ::dup(STDOUT_FILENO);
  std::array<int, 2> ends_{-1, -1};
};

TEST(Metrics, CountTheLogLinesThatNobodyReads) {
  const UnreadOutput output;
  Telemetry telemetry{{.service = "test-service", .instance = "a"}};
  const std::string detail(1'000, 'x');
  for (int i = 0; i < 3'000; ++i) telemetry.info("noise", {{"detail", std::string_view{detail}}});
  EXPECT_FALSE(telemetry.exposition().contains("stoa_log_lines_dropped_total 0\n"));
}

}  // namespace
}  // namespace stoa::telemetry
