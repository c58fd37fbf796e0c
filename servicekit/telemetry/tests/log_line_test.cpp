#include "servicekit/telemetry/log_line.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace stoa::telemetry {
namespace {

using namespace std::chrono_literals;

const Instant noon{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22} + 12h + 123ms};
constexpr LogOrigin origin{.service = "order-service", .instance = "a"};

std::string line(std::initializer_list<Field> fields, const Context* context = nullptr,
                 std::string_view event = "order_placed") {
  std::string out;
  append_log_line(out, noon, LogLevel::info, origin, event, context, fields);
  return out;
}

TEST(LogLine, StartsWithTimeLevelEventAndOrigin) {
  EXPECT_EQ(line({}), R"({"ts":"2026-11-22T12:00:00.123Z","level":"info","event":"order_placed",)"
                      R"("service":"order-service","instance":"a"})"
                      "\n");
}

TEST(LogLine, WritesEveryTypeOfValue) {
  const std::string text = line({{"text", "a"},
                                 {"number", std::int64_t{-7}},
                                 {"real", 0.5},
                                 {"yes", true},
                                 {"infinite", std::numeric_limits<double>::infinity()}});
  EXPECT_TRUE(text.ends_with(R"(,"text":"a","number":-7,"real":0.5,"yes":true,"infinite":null})"
                             "\n"));
}

TEST(LogLine, EscapesWhatWouldBreakTheLine) {
  const std::string text = line({{"name", "a\"b\\c\nd\x01"}});
  EXPECT_TRUE(text.ends_with(R"(,"name":"a\"b\\c\nd\u0001"})"
                             "\n"));
}

TEST(LogLine, KeepsUtf8AndReplacesWhatIsNot) {
  EXPECT_TRUE(line({{"name", "caf\xc3\xa9"}}).contains("caf\xc3\xa9"));
  EXPECT_TRUE(line({{"name", "caf\xe9"}}).contains("\"caf\xEF\xBF\xBD\""));
}

TEST(LogLine, CarriesTraceAndRequestIdOfTheContext) {
  Context context;
  context.trace = *TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  context.request_id = std::make_shared<const std::string>("r-1");
  EXPECT_TRUE(line({}, &context)
                  .ends_with(R"(,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","request_id":"r-1"})"
                             "\n"));
}

TEST(LogLine, LeavesOutWhatAContextDoesNotHave) {
  const Context context;
  EXPECT_FALSE(line({}, &context).contains("trace_id"));
  EXPECT_FALSE(line({}, &context).contains("request_id"));
}

}  // namespace
}  // namespace stoa::telemetry
