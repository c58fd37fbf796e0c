#include "services/order-service/adapters/cursor.hpp"

#include <algorithm>

#include "servicekit/core/encoding.hpp"
#include "servicekit/crypto/crypto.hpp"

namespace stoa::order {
namespace {

constexpr std::size_t id_bytes = 16;
constexpr std::size_t signature_bytes = 16;

std::string bytes_of(const Uuid& id) { return {id.bytes.begin(), id.bytes.end()}; }

}  // namespace

std::string Cursors::signature(const Uuid& last, std::string_view list) const {
  const auto digest = crypto::hmac_sha256(key_, bytes_of(last) + std::string{list});
  return {digest.begin(), digest.begin() + signature_bytes};
}

std::string Cursors::after(OrderId last, std::string_view list) const {
  return base64url(bytes_of(last.uuid) + signature(last.uuid, list));
}

Result<OrderId> Cursors::read(std::string_view cursor, std::string_view list) const {
  const auto bytes = parse_base64url(cursor);
  if (bytes && bytes->size() == id_bytes + signature_bytes) {
    OrderId last;
    std::copy_n(bytes->begin(), id_bytes, last.uuid.bytes.begin());
    if (crypto::equal_constant_time(bytes->substr(id_bytes), signature(last.uuid, list))) {
      return last;
    }
  }
  return refuse(ErrorKind::malformed, "bad_cursor", "this cursor belongs to another list");
}

}  // namespace stoa::order
