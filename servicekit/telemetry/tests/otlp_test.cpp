#include "servicekit/telemetry/otlp.hpp"

#include <memory>

#include <dlfcn.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

// The witness is opentelemetry-cpp: its library carries the descriptors of OpenTelemetry's own
// .proto files, and protobuf reads our bytes by them.
namespace stoa::telemetry::otlp {
namespace {

using namespace std::chrono_literals;

const TraceContext context =
    *TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
const UnixNanoseconds start{1'700'000'000s + 5ns};

SpanStart child() {
  return {.context = context,
          .parent = {1, 2, 3, 4, 5, 6, 7, 8},
          .name = "GET /products/{id}",
          .kind = SpanKind::server,
          .at = start};
}

/// The request as the protocol's JSON, ids in base64.
std::string read_back(const std::vector<std::string>& spans) {
  static void* const descriptors = ::dlopen(OTEL_PROTO_LIBRARY, RTLD_NOW | RTLD_GLOBAL);
  if (descriptors == nullptr) return "no descriptors";
  const auto* type = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
      "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest");
  if (type == nullptr) return "no such message";
  const std::unique_ptr<google::protobuf::Message> request{
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New()};
  if (!request->ParseFromString(export_request(
          {.service = "order-service", .instance = "pod-1", .version = "1.2.3"}, spans))) {
    return "unreadable";
  }
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(*request, &json);
  return status.ok() ? json : status.ToString();
}

std::string read_back(SpanMessage message) {
  return read_back(std::vector{std::move(message).end(start + 7ms)});
}

/// The one span of a request, without what names the service.
std::string span_of(const std::string& json) {
  const std::size_t at = json.find(R"("spans":[)");
  return at == std::string::npos ? json : json.substr(at);
}

TEST(Otlp, WritesASpanAsTheProtocolDefinesIt) {
  EXPECT_EQ(span_of(read_back(SpanMessage{child()})),
            R"("spans":[{"traceId":"S/kvNXezTaajzpKdDg5HNg==","spanId":"APBnqgupArc=",)"
            R"("parentSpanId":"AQIDBAUGBwg=","name":"GET /products/{id}",)"
            R"("kind":"SPAN_KIND_SERVER","startTimeUnixNano":"1700000000000000005",)"
            R"("endTimeUnixNano":"1700000000007000005"}]}]}]})");
}

TEST(Otlp, WritesEveryTypeOfAttribute) {
  SpanMessage message{child()};
  message.attribute("text", std::string_view{"caf\xc3\xa9"});
  message.attribute("number", std::int64_t{-3});
  message.attribute("real", 0.25);
  message.attribute("flag", true);
  EXPECT_TRUE(read_back(std::move(message))
                  .contains(R"("attributes":[{"key":"text","value":{"stringValue":"café"}},)"
                            R"({"key":"number","value":{"intValue":"-3"}},)"
                            R"({"key":"real","value":{"doubleValue":0.25}},)"
                            R"({"key":"flag","value":{"boolValue":true}}])"));
}

TEST(Otlp, SaysWhyASpanFailed) {
  SpanMessage message{child()};
  message.fail("deadline passed");
  EXPECT_TRUE(
      read_back(std::move(message))
          .contains(R"("status":{"message":"deadline passed","code":"STATUS_CODE_ERROR"})"));
}

TEST(Otlp, ARootHasNoParent) {
  SpanStart root = child();
  root.parent = {};
  EXPECT_FALSE(read_back(SpanMessage{root}).contains("parentSpanId"));
}

TEST(Otlp, ReplacesWhatIsNotUtf8SoThatTheBatchIsNotRefused) {
  SpanMessage message{child()};
  message.attribute("text", std::string_view{"caf\xe9"});
  EXPECT_TRUE(read_back(std::move(message)).contains(R"({"stringValue":"caf?"})"));
}

TEST(Otlp, LeavesOutAttributesBeyondTheLimit) {
  SpanMessage message{child()};
  message.attribute("large", std::string_view{std::string(SpanMessage::bytes_max, 'x')});
  message.attribute("small", std::int64_t{1});
  EXPECT_TRUE(read_back(std::move(message))
                  .contains(R"("attributes":[{"key":"small","value":{"intValue":"1"}}])"));
}

TEST(Otlp, NamesTheServiceOnceForTheWholeBatch) {
  const std::string json =
      read_back(std::vector{SpanMessage{child()}.end(start), SpanMessage{child()}.end(start)});
  EXPECT_TRUE(json.starts_with(R"({"resourceSpans":[{"resource":{"attributes":[)"
                               R"({"key":"service.name","value":{"stringValue":"order-service"}},)"
                               R"({"key":"service.version","value":{"stringValue":"1.2.3"}},)"
                               R"({"key":"service.instance.id","value":{"stringValue":"pod-1"}}]},)"
                               R"("scopeSpans":[{"scope":{"name":"stoa"},"spans":[{)"));
  EXPECT_TRUE(json.contains("},{\"traceId\""));
}

}  // namespace
}  // namespace stoa::telemetry::otlp
