#include "servicekit/telemetry/sampling.hpp"

#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "servicekit/telemetry/telemetry.hpp"

namespace {

// Counts what a piece of code allocates on its own thread.
thread_local std::size_t allocations = 0;

}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc{};
}
// Replaced along with the other, as a sanitizer has a pair of its own.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace stoa::telemetry {
namespace {

TelemetryConfig config(double ratio) {
  return {.service = "test-service", .log_level = "off", .trace_ratio = ratio};
}

std::array<std::uint8_t, 16> trace_with_randomness(std::uint64_t randomness) {
  std::array<std::uint8_t, 16> id{0xff};
  for (std::size_t i = 0; i < 7; ++i) id[15 - i] = static_cast<std::uint8_t>(randomness >> (8 * i));
  return id;
}

TEST(TraceRatio, DecidesByTheLast56BitsOfTheId) {
  const TraceRatio quarter{0.25};
  const std::uint64_t threshold = std::uint64_t{3} << 54U;  // 75 % of 2^56
  EXPECT_FALSE(quarter.samples(trace_with_randomness(0)));
  EXPECT_FALSE(quarter.samples(trace_with_randomness(threshold - 1)));
  EXPECT_TRUE(quarter.samples(trace_with_randomness(threshold)));
  EXPECT_TRUE(quarter.samples(trace_with_randomness((std::uint64_t{1} << 56U) - 1)));
}

TEST(TraceRatio, OfOneTakesAllAndOfZeroNone) {
  for (const std::uint64_t randomness : {std::uint64_t{0}, (std::uint64_t{1} << 56U) - 1}) {
    EXPECT_TRUE(TraceRatio{1.0}.samples(trace_with_randomness(randomness)));
    EXPECT_FALSE(TraceRatio{0.0}.samples(trace_with_randomness(randomness)));
  }
}

TEST(Sampling, TakesAboutTheRatioOfNewTraces) {
  Telemetry telemetry{config(0.2)};
  int sampled = 0;
  for (int i = 0; i < 20'000; ++i) {
    sampled += telemetry.span({}, "new", SpanKind::server).context().sampled ? 1 : 0;
  }
  EXPECT_NEAR(sampled, 4'000, 400);  // seven standard deviations
}

TEST(Sampling, KeepsAnOutsideTraceIdAndDecidesAnew) {
  const TraceContext outside =
      *TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  Telemetry never{config(0)};
  const TraceContext adopted = never.adopt(outside);
  EXPECT_EQ(adopted.trace_id, outside.trace_id);
  EXPECT_EQ(adopted.span_id, outside.span_id);
  EXPECT_FALSE(adopted.sampled);

  Telemetry always{config(1)};
  TraceContext unsampled = outside;
  unsampled.sampled = false;
  EXPECT_TRUE(always.adopt(unsampled).sampled);
}

TEST(Sampling, LeavesTheDecisionOfAParentAlone) {
  Telemetry never{config(0)};
  const TraceContext sampled =
      *TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  EXPECT_TRUE(never.span(sampled, "child", SpanKind::server).context().sampled);
}

TEST(Sampling, OfNoTraceAdoptsNothing) {
  Telemetry always{config(1)};
  EXPECT_FALSE(always.adopt({}).valid());
}

TEST(Sampling, ANewTraceHasAnIdAlsoWhenItIsNotRecorded) {
  Telemetry never{config(0)};
  const Span first = never.span({}, "a", SpanKind::server);
  const Span second = never.span({}, "b", SpanKind::server);
  EXPECT_TRUE(first.context().valid());
  EXPECT_NE(first.context().trace_id, second.context().trace_id);
}

TEST(Sampling, AnUnsampledSpanAllocatesNothing) {
  Telemetry telemetry{config(0)};
  const TraceContext parent =
      *TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
  const std::size_t before = allocations;
  for (int i = 0; i < 100; ++i) {
    Span span = telemetry.span(parent, "SELECT products", SpanKind::client);
    span.set("db.system.name", std::string_view{"postgresql"});
    span.fail("gone");
  }
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace stoa::telemetry
