#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace stoa {

/// 128 bits of RFC 9562, in network order. Ordered by bytes, hence version 7 by time.
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  /// 36 characters, lower case, as PostgreSQL prints it.
  std::string str() const;

  /// Accepts exactly the 36-character form, either case. Empty otherwise.
  static std::optional<Uuid> parse(std::string_view text);

  friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

/// Version 7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, then 74 of the given random
/// bits.
Uuid uuid_v7(std::chrono::sys_time<std::chrono::milliseconds> now,
             std::span<const std::uint8_t, 10> random);

/// Version 8 (RFC 9562 section 5.8) over the first 16 bytes of a digest: a name-based id.
/// The caller hashes (SHA-256 in servicekit/crypto), this sets version and variant.
Uuid uuid_v8(std::span<const std::uint8_t, 16> digest);

}  // namespace stoa

template <>
struct std::hash<stoa::Uuid> {
  std::size_t operator()(const stoa::Uuid& id) const noexcept;
};
