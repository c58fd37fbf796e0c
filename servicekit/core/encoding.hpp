#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace stoa {

/// Lower-case hexadecimal.
std::string hex(std::span<const std::uint8_t> bytes);
void append_hex(std::string& out, std::span<const std::uint8_t> bytes);

/// RFC 4648 section 5, without padding.
std::string base64url(std::string_view bytes);

/// Strict: no padding, no white space, no stray bits. Empty when malformed.
std::optional<std::string> parse_base64url(std::string_view text);

/// Percent-decoding of RFC 3986, '+' left alone. Empty for a bad escape.
std::optional<std::string> percent_decode(std::string_view text);

/// Whether `text` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool valid_utf8(std::string_view text);

}  // namespace stoa
