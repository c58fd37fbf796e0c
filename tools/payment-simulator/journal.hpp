#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>

#include "servicekit/async/task.hpp"

namespace stoa::simulator {

/// Reads a journal from its beginning and hands every line's text to `each`. A torn last line (the
/// process died while writing it, so nobody was answered) is cut off; a broken line before the last
/// throws std::runtime_error: the file was damaged, and guessing about money is worse than
/// stopping.
void replay(const std::filesystem::path& path, const std::function<void(std::string_view)>& each);

/// An append-only file of lines, each `<crc32, 8 hex> <text>\n`. Appending only queues; a thread of
/// its own writes what has gathered and calls fdatasync once for all of it (group commit).
class Journal {
 public:
  /// Opens or creates `path`, positioned at its end; wakes waiters on `loop`, the only thread that
  /// may call append() and durable(). Throws std::system_error when the file cannot be opened.
  Journal(boost::asio::io_context& loop, const std::filesystem::path& path,
          std::uint64_t lines_replayed);
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal();

  /// Queues one line and returns its number, counted from 1. Does not wait.
  std::uint64_t append(std::string_view text);

  /// Waits until the line of that number is on disk. A disk that cannot be written ends the
  /// process: a provider that forgets must not answer.
  Task<> durable(std::uint64_t line);

 private:
  using Timer = boost::asio::basic_waitable_timer<
      std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

  void write_loop();
  void on_durable(std::uint64_t line);

  boost::asio::io_context& loop_;
  int file_;
  std::uint64_t appended_;
  std::uint64_t durable_;
  Timer synced_;  // never expires; cancelled after each sync, which wakes all who wait

  std::mutex mutex_;
  std::condition_variable gathered_;
  std::string pending_;             // guarded by mutex_
  std::uint64_t pending_last_ = 0;  // guarded by mutex_
  bool stopping_ = false;           // guarded by mutex_
  std::thread writer_;              // last: it uses everything above
};

}  // namespace stoa::simulator
