#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace stoa::telemetry {

struct LogWriterLimits {
  std::size_t queued_bytes_max = 1024 * 1024;
  /// Lines that come within this time leave in one write; a request's thread wakes the writer at
  /// most once in it.
  std::chrono::milliseconds gather_for{10};
  /// How long the destructor waits for a reader that does not read.
  std::chrono::milliseconds last_write{1'000};
};

/// Writes lines to a file descriptor on a thread of its own, so that a slow reader of the log never
/// holds up a loop. Bounded: what does not fit is dropped and counted. Thread-safe.
class LogWriter {
 public:
  explicit LogWriter(int descriptor, LogWriterLimits limits = {});
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;
  ~LogWriter();

  /// `line` ends with its line end. Never waits.
  void write(std::string_view line);

  /// Waits until what is queued now is written; at most `timeout`.
  void flush(std::chrono::milliseconds timeout);

  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  void put(std::string_view bytes);
  bool may_wait();

  int descriptor_;
  LogWriterLimits limits_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable written_;
  std::string queued_;
  bool writing_ = false;
  bool urgent_ = false;
  bool stopping_ = false;
  Clock::time_point give_up_at_ = Clock::time_point::max();
  std::atomic<std::uint64_t> dropped_{0};
  std::thread thread_;
};

}  // namespace stoa::telemetry
