#include <algorithm>
#include <array>
#include <chrono>
#include <span>

#include <sys/random.h>

#include "servicekit/core/require.hpp"
#include "servicekit/crypto/crypto.hpp"

namespace stoa::crypto {
namespace {

void fill(std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    // Requests up to 256 bytes are neither interrupted nor short (getrandom(2)).
    const auto got = getrandom(bytes.data(), std::min<std::size_t>(bytes.size(), 256), 0);
    require(got > 0, "the system's random generator answers");
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

// Random bytes of one thread, taken from the system 256 at a time: a system call for each id would
// cost ten times the id. Bytes are wiped when they are handed out.
class Pool {
 public:
  std::array<std::uint8_t, 10> take() {
    std::array<std::uint8_t, 10> taken{};
    if (next_ + taken.size() > bytes_.size()) {
      fill(bytes_);
      next_ = 0;
    }
    const auto from = std::span{bytes_}.subspan(next_, taken.size());
    std::ranges::copy(from, taken.begin());
    std::ranges::fill(from, std::uint8_t{0});
    next_ += taken.size();
    return taken;
  }

 private:
  std::array<std::uint8_t, 250> bytes_{};
  std::size_t next_ = bytes_.size();
};

}  // namespace

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  fill({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  return bytes;
}

Uuid new_uuid() {
  thread_local Pool pool;
  const auto random = pool.take();
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  return uuid_v7(now, random);
}

}  // namespace stoa::crypto
