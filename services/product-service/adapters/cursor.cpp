#include "services/product-service/adapters/cursor.hpp"

#include <algorithm>

#include "servicekit/core/encoding.hpp"
#include "servicekit/crypto/crypto.hpp"

namespace stoa::product {
namespace {

constexpr std::size_t mac_bytes = 16;
constexpr std::size_t id_characters = 36;

}  // namespace

std::string Cursors::mac(std::string_view list, std::string_view payload) const {
  std::string message{list};
  message += '\0';
  message += payload;
  const auto digest = crypto::hmac_sha256(key_, message);
  return {digest.begin(), digest.begin() + mac_bytes};
}

std::string Cursors::sign(std::string_view list, const PageEnd& end) const {
  const std::string payload = end.id.str() + end.key;
  return base64url(mac(list, payload) + payload);
}

Result<PageEnd> Cursors::verify(std::string_view list, std::string_view cursor) const {
  const auto bytes = parse_base64url(cursor);
  const bool long_enough = bytes && bytes->size() >= mac_bytes + id_characters;
  if (long_enough) {
    const std::string payload = bytes->substr(mac_bytes);
    const auto id = Uuid::parse(std::string_view{payload}.substr(0, id_characters));
    const bool ours = crypto::equal_constant_time(bytes->substr(0, mac_bytes), mac(list, payload));
    if (ours && id) return PageEnd{.key = payload.substr(id_characters), .id = *id};
  }
  return refuse(ErrorKind::malformed, "bad_cursor",
                "this cursor is not from a page with the same sort and filters");
}

std::string next_target(std::string_view path, std::string_view query, std::string_view cursor) {
  std::string target{path};
  target += '?';
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty() || pair.starts_with("cursor=")) continue;
    target += pair;
    target += '&';
  }
  target += "cursor=";
  target += cursor;
  return target;
}

}  // namespace stoa::product
