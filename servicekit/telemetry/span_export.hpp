#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "servicekit/telemetry/collector.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::telemetry {

struct SpanExportLimits {
  std::size_t queued_max = 2048;  ///< spans; beyond they are dropped and counted
  std::size_t batch_max = 512;
  std::chrono::milliseconds gather_for{500};  ///< or until a batch is full
  /// One request. With flush()'s own limit it bounds what a collector that accepts and says
  /// nothing can cost at the end of the process.
  std::chrono::milliseconds request_timeout{1'500};
};

struct SpanMeters {
  Counter exported;
  Counter dropped;  ///< the queue was full
  Counter failed;   ///< the collector did not take them
};

/// Ships ended spans in batches, on a thread of its own. A batch that the collector does not take
/// is counted and forgotten: a trace is worth less than the memory to keep it. Thread-safe.
class SpanExport {
 public:
  SpanExport(const TelemetryConfig& config, CollectorUrl url, const SpanMeters& meters,
             SpanExportLimits limits = {});
  SpanExport(const SpanExport&) = delete;
  SpanExport& operator=(const SpanExport&) = delete;
  ~SpanExport();

  /// Takes one encoded Span message. Never waits.
  void add(std::string span);

  /// Waits until what is queued now was sent or given up; at most `timeout`.
  void flush(std::chrono::milliseconds timeout);

 private:
  void run();
  void send(const std::vector<std::string>& spans);

  TelemetryConfig config_;
  CollectorUrl url_;
  SpanMeters meters_;
  SpanExportLimits limits_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable sent_;
  std::vector<std::string> queued_;
  std::size_t sending_ = 0;
  bool urgent_ = false;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace stoa::telemetry
