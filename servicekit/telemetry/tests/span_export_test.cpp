#include "servicekit/telemetry/span_export.hpp"

#include <array>
#include <charconv>
#include <format>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace stoa::telemetry {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// A collector on a free port that answers every request with one status, or with nothing.
class FakeCollector {
 public:
  explicit FakeCollector(std::string answer)
      : answer_{std::move(answer)}, listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    socklen_t length = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    url = std::format("http://127.0.0.1:{}", ntohs(address.sin_port));
    if (!answer_.empty()) thread_ = std::thread{[this] { serve(); }};
  }
  FakeCollector(const FakeCollector&) = delete;
  FakeCollector& operator=(const FakeCollector&) = delete;
  ~FakeCollector() {
    ::shutdown(listener_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    ::close(listener_);
  }

  std::string url;
  std::atomic<int> requests{0};
  std::string last_head;  ///< read after a flush: the exporter has seen the answer

 private:
  void serve() {
    while (true) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      read_request(connection);
      ++requests;
      EXPECT_EQ(::send(connection, answer_.data(), answer_.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(answer_.size()));
      ::close(connection);
    }
  }

  void read_request(int connection) {
    constexpr std::string_view length_name = "content-length: ";
    std::string text;
    std::array<char, 65536> piece{};
    std::size_t wanted = std::string::npos;
    while (text.size() < wanted) {
      const ssize_t count = ::recv(connection, piece.data(), piece.size(), 0);
      if (count <= 0) return;
      text.append(piece.data(), static_cast<std::size_t>(count));
      const std::size_t end = text.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      last_head = text.substr(0, end);
      std::size_t length = 0;
      const char* digits = text.data() + text.find(length_name) + length_name.size();
      std::from_chars(digits, text.data() + end, length);
      wanted = end + 4 + length;
    }
  }

  std::string answer_;
  int listener_;
  std::thread thread_;
};

const std::string ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const std::string busy = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

TelemetryConfig config(const std::string& url) {
  return {.service = "test-service",
          .instance = "a",
          .otlp_url = url,
          .log_level = "off",
          .trace_ratio = 1};
}

void record(Telemetry& telemetry, int count) {
  for (int i = 0; i < count; ++i) telemetry.span({}, "work", SpanKind::internal);
}

TEST(SpanExport, SendsEndedSpansToTheCollector) {
  const FakeCollector collector{ok};
  Telemetry telemetry{config(collector.url + "/prefix/")};
  record(telemetry, 3);
  telemetry.flush(5s);
  EXPECT_EQ(collector.requests, 1);
  EXPECT_TRUE(collector.last_head.starts_with("POST /prefix/v1/traces HTTP/1.1\r\n"));
  EXPECT_TRUE(collector.last_head.contains("content-type: application/x-protobuf\r\n"));
  EXPECT_TRUE(telemetry.exposition().contains("stoa_spans_exported_total 3\n"));
}

TEST(SpanExport, AChildNamesItsParentAndKeepsTheTrace) {
  const FakeCollector collector{ok};
  Telemetry telemetry{config(collector.url)};
  const Span parent = telemetry.span({}, "parent", SpanKind::server);
  const Span child = telemetry.span(parent.context(), "child", SpanKind::client);
  EXPECT_EQ(child.context().trace_id, parent.context().trace_id);
  EXPECT_NE(child.context().span_id, parent.context().span_id);
}

TEST(SpanExport, SplitsIntoBatches) {
  const FakeCollector collector{ok};
  Telemetry telemetry{config(collector.url)};
  record(telemetry, 1'100);
  telemetry.flush(5s);
  EXPECT_GE(collector.requests, 3);
  EXPECT_TRUE(telemetry.exposition().contains("stoa_spans_exported_total 1100\n"));
}

TEST(SpanExport, CountsWhatTheCollectorRefuses) {
  const FakeCollector collector{busy};
  Telemetry telemetry{config(collector.url)};
  record(telemetry, 2);
  telemetry.flush(5s);
  EXPECT_TRUE(
      telemetry.exposition().contains("stoa_spans_dropped_total{reason=\"export_failed\"} 2\n"));
}

TEST(SpanExport, CountsWhatNobodyListensFor) {
  Telemetry telemetry{config("http://127.0.0.1:1")};
  record(telemetry, 2);
  telemetry.flush(5s);
  EXPECT_TRUE(
      telemetry.exposition().contains("stoa_spans_dropped_total{reason=\"export_failed\"} 2\n"));
}

TEST(SpanExport, AHangingCollectorCostsSpansNeverTime) {
  const FakeCollector hanging{""};
  const auto started = Clock::now();
  {
    Telemetry telemetry{config(hanging.url)};
    record(telemetry, 5'000);
    EXPECT_LT(Clock::now() - started, 400ms);
    EXPECT_FALSE(
        telemetry.exposition().contains("stoa_spans_dropped_total{reason=\"queue_full\"} 0\n"));
    telemetry.flush(50ms);
  }
  // One request is in flight at the end, and it has its own limit.
  EXPECT_LT(Clock::now() - started, 4s);
}

TEST(CollectorUrl, ReadsHostPortAndPrefix) {
  const auto url = CollectorUrl::parse("http://[::1]:4318/otlp/");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, "4318");
  EXPECT_EQ(url->path, "/otlp/v1/traces");
}

TEST(CollectorUrl, RefusesWhatItCannotReach) {
  for (const char* text : {"", "collector:4318", "https://collector:4318", "http://collector",
                           "http://:4318", "http://collector:", "http://collector:43x8",
                           "http://user@collector:4318", "http://a b:4318"}) {
    EXPECT_FALSE(CollectorUrl::parse(text)) << text;
  }
}

}  // namespace
}  // namespace stoa::telemetry
