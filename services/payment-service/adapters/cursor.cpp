#include "services/payment-service/adapters/cursor.hpp"

#include <charconv>
#include <format>

#include "servicekit/core/encoding.hpp"
#include "servicekit/crypto/crypto.hpp"

namespace stoa::payment {
namespace {

constexpr std::size_t signature_length = 32;  // 128 bits in hexadecimal
constexpr std::size_t uuid_length = 36;

}  // namespace

std::string Cursors::write(const LedgerPosition& position, std::string_view filters) const {
  const std::string plain = std::format("{}{}", position.transaction.str(), position.line);
  return base64url(signature(plain, filters) + plain);
}

Result<LedgerPosition> Cursors::read(std::string_view cursor, std::string_view filters) const {
  const auto bad = refuse(ErrorKind::malformed, "bad_cursor",
                          "this cursor does not belong to this list: start without one");
  const auto bytes = parse_base64url(cursor);
  if (!bytes || bytes->size() <= signature_length + uuid_length) return bad;
  const std::string_view told = std::string_view{*bytes}.substr(0, signature_length);
  const std::string_view plain = std::string_view{*bytes}.substr(signature_length);
  if (!crypto::equal_constant_time(told, signature(plain, filters))) return bad;

  const auto transaction = Uuid::parse(plain.substr(0, uuid_length));
  const std::string_view line_text = plain.substr(uuid_length);
  int line = 0;
  const auto [end, error] =
      std::from_chars(line_text.data(), line_text.data() + line_text.size(), line);
  if (!transaction || error != std::errc{}) return bad;
  return LedgerPosition{.transaction = *transaction, .line = line};
}

std::string Cursors::signature(std::string_view position, std::string_view filters) const {
  const std::string text = std::format("ledger-entries\n{}\n{}", filters, position);
  return hex(crypto::hmac_sha256(key_, text)).substr(0, signature_length);
}

}  // namespace stoa::payment
