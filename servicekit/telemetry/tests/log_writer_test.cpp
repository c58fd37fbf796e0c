#include "servicekit/telemetry/log_writer.hpp"

#include <algorithm>
#include <array>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace stoa::telemetry {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class Pipe {
 public:
  Pipe() {
    EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC), 0);
    EXPECT_EQ(::fcntl(ends_[0], F_SETFL, O_NONBLOCK), 0);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    for (const int end : ends_) ::close(end);
  }
  int input() const { return ends_[1]; }
  std::string read() const {
    std::string all;
    std::array<char, 65536> piece{};
    ssize_t count = 0;
    while ((count = ::read(ends_[0], piece.data(), piece.size())) > 0) {
      all.append(piece.data(), static_cast<std::size_t>(count));
    }
    return all;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

TEST(LogWriter, WritesLinesInTheirOrder) {
  const Pipe pipe;
  LogWriter writer{pipe.input()};
  for (int i = 0; i < 100; ++i) writer.write(std::to_string(i) + "\n");
  writer.flush(5s);
  const std::string text = pipe.read();
  EXPECT_EQ(std::ranges::count(text, '\n'), 100);
  EXPECT_TRUE(text.starts_with("0\n1\n2\n"));
  EXPECT_TRUE(text.ends_with("98\n99\n"));
  EXPECT_EQ(writer.dropped(), 0U);
}

TEST(LogWriter, WritesWhatIsQueuedBeforeItEnds) {
  const Pipe pipe;
  {
    LogWriter{pipe.input()}.write("last words\n");
  }
  EXPECT_EQ(pipe.read(), "last words\n");
}

// A reader that stops reading must cost lines, never time.
TEST(LogWriter, DropsAndCountsWhenNobodyReads) {
  const Pipe pipe;
  const std::string line = std::string(999, 'x') + "\n";
  std::uint64_t dropped = 0;
  const auto started = Clock::now();
  {
    LogWriter writer{pipe.input(), {.queued_bytes_max = 100'000, .last_write = 200ms}};
    for (int i = 0; i < 1'000; ++i) writer.write(line);
    EXPECT_LT(Clock::now() - started, 100ms);
    dropped = writer.dropped();
    EXPECT_GT(dropped, 700U);  // a pipe holds 64 KiB, the writer 64 KiB more, the queue 100 kB
  }
  EXPECT_LT(Clock::now() - started, 3s);
}

TEST(LogWriter, CountsWhatADiskRefuses) {
  const int full_disk = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  LogWriter full{full_disk};
  full.write("a\n");
  full.write("b\n");
  full.flush(5s);
  EXPECT_EQ(full.dropped(), 2U);
  ::close(full_disk);
}

}  // namespace
}  // namespace stoa::telemetry
