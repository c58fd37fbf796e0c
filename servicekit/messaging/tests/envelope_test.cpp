#include "servicekit/messaging/detail/envelope.hpp"

#include <gtest/gtest.h>

#include "servicekit/core/type_id.hpp"

namespace stoa::messaging::detail {
namespace {

constexpr std::string_view traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

Event placed() {
  return {.id = *Uuid::parse("01932f6e-7c00-7000-8000-000000000001"),
          .source = "order-service",
          .type = "order.placed",
          .version = 1,
          .subject = "ord_1",
          .aggregate_version = 7,
          .time = *parse_rfc3339("2026-11-22T12:00:00.123Z"),
          .data = R"({"order_id":"ord_1"})",
          .trace = *TraceContext::parse(traceparent)};
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

TEST(Envelope, IsCloudEventsInStructuredJson) {
  EXPECT_EQ(
      write_envelope(placed()),
      R"({"specversion":"1.0","id":"evt_01jcqpwz00e008000000000001","source":"order-service",)"
      R"("type":"order.placed.v1","time":"2026-11-22T12:00:00.123Z","subject":"ord_1",)"
      R"("datacontenttype":"application/json","dataschema":"https://stoa.example/contracts/events/order.placed.json",)"
      R"("traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",)"
      R"("aggregateversion":7,"data":{"order_id":"ord_1"}})");
}

TEST(Envelope, ReadsWhatItWrote) {
  const auto event = read_envelope(write_envelope(placed()));

  ASSERT_TRUE(event) << event.error();
  EXPECT_EQ(event->id, placed().id);
  EXPECT_EQ(event->source, "order-service");
  EXPECT_EQ(event->type, "order.placed");
  EXPECT_EQ(event->version, 1);
  EXPECT_EQ(event->subject, "ord_1");
  EXPECT_EQ(event->aggregate_version, 7);
  EXPECT_EQ(event->time, placed().time);
  EXPECT_EQ(event->data, placed().data);
  EXPECT_EQ(event->trace, placed().trace);
}

TEST(Envelope, EscapesWhatASubjectMayHold) {
  Event event = placed();
  event.subject = "a\"b\\c\nd";

  EXPECT_EQ(read_envelope(write_envelope(event))->subject, event.subject);
}

TEST(Envelope, LeavesOutATraceThatIsNone) {
  Event event = placed();
  event.trace = {};
  const std::string text = write_envelope(event);

  EXPECT_EQ(text.find("traceparent"), std::string::npos);
  EXPECT_FALSE(read_envelope(text)->trace.valid());
}

TEST(Envelope, IgnoresAttributesItDoesNotKnow) {
  const auto text = replaced(write_envelope(placed()), "{", R"({"newer":{"a":[1]},)");

  EXPECT_TRUE(read_envelope(text));
}

struct Unreadable {
  std::string_view what;
  std::string_view by;
  std::string_view why;
};

class UnreadableEnvelope : public testing::TestWithParam<Unreadable> {};

TEST_P(UnreadableEnvelope, IsRefusedWithTheReason) {
  const auto& [what, by, why] = GetParam();

  const auto event = read_envelope(replaced(write_envelope(placed()), what, by));

  ASSERT_FALSE(event);
  EXPECT_EQ(event.error(), why);
}

INSTANTIATE_TEST_SUITE_P(
    Each, UnreadableEnvelope,
    testing::Values(
        Unreadable{"{", "", "not a JSON object"}, Unreadable{"{", "[{", "not a JSON object"},
        Unreadable{R"("1.0")", R"("0.3")", "not a CloudEvents 1.0 envelope"},
        Unreadable{"order.placed.v1", "order.placed.v2", "unknown version 2"},
        Unreadable{"order.placed.v1", "order.placed", "type is not <name>.v<number>"},
        Unreadable{"order.placed.v1", "order.placed.v1x", "type is not <name>.v<number>"},
        Unreadable{"order.placed.v1", "order.placed.v0", "type is not <name>.v<number>"},
        Unreadable{"order.placed.v1", ".v1", "type is not <name>.v<number>"},
        Unreadable{"evt_", "ord_", "id is not an event id"},
        Unreadable{"12:00:00.123Z", "12:00", "time is not RFC 3339 in UTC with milliseconds"},
        Unreadable{R"({"order_id":"ord_1"})", "null", "data is not an object"}));

}  // namespace
}  // namespace stoa::messaging::detail
