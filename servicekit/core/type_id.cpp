#include "servicekit/core/type_id.hpp"

#include <array>
#include <cstdint>

namespace stoa {
namespace {

constexpr std::string_view alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t suffix_length = 26;

constexpr std::array<std::int8_t, 256> value_of = [] {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
  }
  return table;
}();

}  // namespace

// 26 characters of 5 bits are 130: the first holds two leading zero bits.
std::string type_id_suffix(const Uuid& id) {
  std::string text(suffix_length, '0');
  unsigned buffer = 0;
  int bits = 2;
  std::size_t at = 0;
  for (const std::uint8_t byte : id.bytes) {
    buffer = (buffer << 8U) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text[at++] = alphabet[(buffer >> static_cast<unsigned>(bits)) & 0x1FU];
    }
  }
  return text;
}

std::optional<Uuid> parse_type_id_suffix(std::string_view text) {
  if (text.size() != suffix_length || text.front() > '7') return std::nullopt;
  Uuid id;
  unsigned buffer = 0;
  int bits = -2;
  std::size_t at = 0;
  for (const char c : text) {
    const std::int8_t value = value_of[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    buffer = (buffer << 5U) | static_cast<unsigned>(value);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      id.bytes[at++] = static_cast<std::uint8_t>((buffer >> static_cast<unsigned>(bits)) & 0xFFU);
    }
  }
  return id;
}

}  // namespace stoa
