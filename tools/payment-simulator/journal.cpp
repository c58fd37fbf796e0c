#include "tools/payment-simulator/journal.hpp"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <format>
#include <fstream>
#include <optional>
#include <print>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/crc.hpp>
#include <fcntl.h>
#include <unistd.h>

namespace stoa::simulator {
namespace {

constexpr std::size_t checksum_length = 8;

std::uint32_t checksum(std::string_view text) {
  boost::crc_32_type crc;
  crc.process_bytes(text.data(), text.size());
  return crc.checksum();
}

/// The text of a whole line, empty when its checksum does not fit.
std::optional<std::string_view> text_of(std::string_view line) {
  if (line.size() <= checksum_length || line[checksum_length] != ' ') return std::nullopt;
  std::uint32_t told = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + checksum_length, told, 16);
  if (error != std::errc{} || end != line.data() + checksum_length) return std::nullopt;
  const std::string_view text = line.substr(checksum_length + 1);
  if (checksum(text) != told) return std::nullopt;
  return text;
}

[[noreturn]] void die(std::string_view what) {
  const std::string why = std::error_code{errno, std::system_category()}.message();
  std::println(stderr, R"({{"level":"error","event":"journal_failed","what":"{}","why":"{}"}})",
               what, why);
  std::_Exit(EXIT_FAILURE);
}

void write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) die("write");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

void replay(const std::filesystem::path& path, const std::function<void(std::string_view)>& each) {
  std::ifstream file{path, std::ios::binary};
  if (!file) return;  // the first start
  std::uintmax_t good = 0;
  std::string line;
  while (std::getline(file, line)) {
    const bool ended = !file.eof();
    const auto text = text_of(line);
    if (ended && text) {
      each(*text);
      good += line.size() + 1;
      continue;
    }
    if (file.peek() != std::ifstream::traits_type::eof()) {
      throw std::runtime_error{std::format("{}: damaged after byte {}", path.string(), good)};
    }
    break;
  }
  file.close();
  std::filesystem::resize_file(path, good);
}

Journal::Journal(boost::asio::io_context& loop, const std::filesystem::path& path,
                 std::uint64_t lines_replayed)
    : loop_{loop},
      file_{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640)},
      appended_{lines_replayed},
      durable_{lines_replayed},
      synced_{loop, Timer::time_point::max()} {
  if (file_ < 0) throw std::system_error{errno, std::system_category(), path.string()};
  writer_ = std::thread{[this] { write_loop(); }};
}

Journal::~Journal() {
  {
    const std::scoped_lock lock{mutex_};
    stopping_ = true;
  }
  gathered_.notify_one();
  writer_.join();
  ::close(file_);
}

std::uint64_t Journal::append(std::string_view text) {
  ++appended_;
  bool first = false;
  {
    const std::scoped_lock lock{mutex_};
    first = pending_.empty();
    std::format_to(std::back_inserter(pending_), "{:08x} ", checksum(text));
    pending_ += text;
    pending_ += '\n';
    pending_last_ = appended_;
  }
  if (first) gathered_.notify_one();
  return appended_;
}

Task<> Journal::durable(std::uint64_t line) {
  const auto wait = boost::asio::as_tuple(boost::asio::use_awaitable_t<Executor>{});
  while (line > durable_) co_await synced_.async_wait(wait);
}

void Journal::write_loop() {
  std::string batch;
  while (true) {
    std::uint64_t last = 0;
    {
      std::unique_lock lock{mutex_};
      gathered_.wait(lock, [this] { return stopping_ || !pending_.empty(); });
      if (pending_.empty()) return;
      batch.swap(pending_);
      last = pending_last_;
    }
    write_all(file_, batch);
    if (::fdatasync(file_) != 0) die("fdatasync");
    batch.clear();
    boost::asio::post(loop_, [this, last] { on_durable(last); });
  }
}

void Journal::on_durable(std::uint64_t line) {
  durable_ = line;
  synced_.cancel();
}

}  // namespace stoa::simulator
