#pragma once

#include <cstdint>
#include <system_error>

#include <sys/eventfd.h>
#include <unistd.h>

namespace stoa::messaging::detail {

/// Wakes a thread that polls file descriptors. signal() may come from any thread and never blocks;
/// signals before a drain() are one.
class Wakeup {
 public:
  Wakeup() : fd_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)} {
    if (fd_ < 0) throw std::system_error{errno, std::generic_category(), "eventfd"};
  }
  ~Wakeup() { ::close(fd_); }
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  int fd() const { return fd_; }

  void signal() const {
    const std::uint64_t one = 1;
    // Fails only when the counter is full, and then the thread is awake anyhow.
    [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
  }

  /// Whether there was a signal since the last call.
  bool drain() const {
    std::uint64_t count = 0;
    return ::read(fd_, &count, sizeof count) == sizeof count;
  }

 private:
  int fd_;
};

}  // namespace stoa::messaging::detail
