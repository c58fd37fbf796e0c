#include "servicekit/telemetry/log_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <poll.h>
#include <unistd.h>

namespace stoa::telemetry {
namespace {

// A pipe that polls as writable takes this much without waiting (POSIX, PIPE_BUF).
constexpr std::size_t piece_max = 4096;
constexpr int poll_ms = 100;

}  // namespace

LogWriter::LogWriter(int descriptor, LogWriterLimits limits)
    : descriptor_{descriptor}, limits_{limits}, thread_{[this] { run(); }} {}

LogWriter::~LogWriter() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
    give_up_at_ = Clock::now() + limits_.last_write;
  }
  wake_.notify_one();
  thread_.join();
}

void LogWriter::write(std::string_view line) {
  bool first = false;
  {
    const std::lock_guard lock{mutex_};
    if (queued_.size() + line.size() > limits_.queued_bytes_max) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    first = queued_.empty() && !writing_;
    queued_ += line;
  }
  if (first) wake_.notify_one();
}

void LogWriter::flush(std::chrono::milliseconds timeout) {
  std::unique_lock lock{mutex_};
  urgent_ = true;
  wake_.notify_one();
  written_.wait_for(lock, timeout, [this] { return queued_.empty() && !writing_; });
  urgent_ = false;
}

void LogWriter::run() {
  std::string batch;
  std::unique_lock lock{mutex_};
  while (true) {
    wake_.wait(lock, [this] { return !queued_.empty() || stopping_; });
    if (queued_.empty()) return;
    wake_.wait_for(lock, limits_.gather_for, [this] { return urgent_ || stopping_; });
    batch.clear();
    std::swap(batch, queued_);
    writing_ = true;
    lock.unlock();
    put(batch);
    lock.lock();
    writing_ = false;
    if (queued_.empty()) written_.notify_all();
  }
}

bool LogWriter::may_wait() {
  const std::lock_guard lock{mutex_};
  return Clock::now() < give_up_at_;
}

void LogWriter::put(std::string_view bytes) {
  while (!bytes.empty()) {
    pollfd ready{.fd = descriptor_, .events = POLLOUT, .revents = 0};
    const int polled = ::poll(&ready, 1, poll_ms);
    if (polled < 0 && errno != EINTR) break;
    if (polled <= 0) {
      if (!may_wait()) break;
      continue;
    }
    const ssize_t count = ::write(descriptor_, bytes.data(), std::min(bytes.size(), piece_max));
    if (count < 0 && errno != EINTR && errno != EAGAIN) break;
    if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  dropped_.fetch_add(static_cast<std::uint64_t>(std::ranges::count(bytes, '\n')),
                     std::memory_order_relaxed);
}

}  // namespace stoa::telemetry
