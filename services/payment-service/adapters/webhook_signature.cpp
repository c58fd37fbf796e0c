#include "services/payment-service/adapters/webhook_signature.hpp"

#include <charconv>
#include <cstdint>
#include <format>
#include <optional>
#include <ranges>
#include <string>

#include "servicekit/core/encoding.hpp"
#include "servicekit/crypto/crypto.hpp"

namespace stoa::payment {
namespace {

std::unexpected<Error> invalid() {
  return refuse(ErrorKind::unauthenticated, "webhook_signature_invalid",
                "this was not signed by the payment provider, or too long ago");
}

std::optional<std::int64_t> parse_seconds(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<void> verify_webhook(const Secret<>& secret, std::string_view header, std::string_view body,
                            std::chrono::sys_seconds now) {
  std::optional<std::int64_t> told_at;
  for (const auto part : std::views::split(header, ',')) {
    const std::string_view text{part.begin(), part.end()};
    if (text.starts_with("t=")) told_at = parse_seconds(text.substr(2));
  }
  if (!told_at) return invalid();
  // Compared without a subtraction that a hostile number could overflow.
  const std::int64_t now_seconds = now.time_since_epoch().count();
  if (*told_at < now_seconds - webhook_tolerance.count() ||
      *told_at > now_seconds + webhook_tolerance.count()) {
    return invalid();
  }
  const std::string expected =
      hex(crypto::hmac_sha256(secret, std::format("{}.{}", *told_at, body)));
  bool signed_by_provider = false;
  for (const auto part : std::views::split(header, ',')) {
    const std::string_view text{part.begin(), part.end()};
    if (!text.starts_with("v1=")) continue;
    if (crypto::equal_constant_time(text.substr(3), expected)) signed_by_provider = true;
  }
  if (!signed_by_provider) return invalid();
  return {};
}

}  // namespace stoa::payment
