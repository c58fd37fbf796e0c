#include "servicekit/core/uuid.hpp"

#include <algorithm>
#include <cstring>

namespace stoa {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::size_t text_length = 36;
constexpr std::uint8_t variant_mask = 0x3F;
constexpr std::uint8_t variant_rfc = 0x80;

constexpr bool dash_at(std::size_t position) {
  return position == 8 || position == 13 || position == 18 || position == 23;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void set_version(Uuid& id, std::uint8_t version) {
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0FU) | (version << 4U));
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & variant_mask) | variant_rfc);
}

}  // namespace

std::string Uuid::str() const {
  std::string text(text_length, '-');
  std::size_t at = 0;
  for (const std::uint8_t byte : bytes) {
    if (dash_at(at)) ++at;
    text[at++] = hex_digits[byte >> 4U];
    text[at++] = hex_digits[byte & 0x0FU];
  }
  return text;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != text_length) return std::nullopt;
  Uuid id;
  std::size_t at = 0;
  for (std::uint8_t& byte : id.bytes) {
    if (dash_at(at)) {
      if (text[at] != '-') return std::nullopt;
      ++at;
    }
    const int high = hex_value(text[at]);
    const int low = hex_value(text[at + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    byte = static_cast<std::uint8_t>((high << 4) | low);
    at += 2;
  }
  return id;
}

Uuid uuid_v7(std::chrono::sys_time<std::chrono::milliseconds> now,
             std::span<const std::uint8_t, 10> random) {
  Uuid id;
  auto milliseconds = static_cast<std::uint64_t>(now.time_since_epoch().count());
  for (std::size_t i = 6; i-- > 0;) {
    id.bytes[i] = static_cast<std::uint8_t>(milliseconds & 0xFFU);
    milliseconds >>= 8U;
  }
  std::ranges::copy(random, id.bytes.begin() + 6);
  set_version(id, 7);
  return id;
}

Uuid uuid_v8(std::span<const std::uint8_t, 16> digest) {
  Uuid id;
  std::ranges::copy(digest, id.bytes.begin());
  set_version(id, 8);
  return id;
}

}  // namespace stoa

std::size_t std::hash<stoa::Uuid>::operator()(const stoa::Uuid& id) const noexcept {
  // The last eight bytes are random in version 7 and digest in version 8.
  std::size_t value = 0;
  std::memcpy(&value, id.bytes.data() + 8, sizeof value);
  return value;
}
