#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace stoa::gateway {

/// The services behind the door.
enum class Upstream : std::uint8_t { user, product, order, payment };
inline constexpr std::size_t upstream_count = 4;

/// What a request is counted as, beside its caller's total.
enum class Traffic : std::uint8_t { ordinary, auth, place_order, import };

/// Where a public path leads. Bytes of `body_max`; a streamed body passes through piece by piece.
struct Destination {
  Upstream upstream;
  std::size_t body_max;
  bool is_streamed = false;
};

inline constexpr std::size_t json_body_max = std::size_t{1024} * 1024;
inline constexpr std::size_t import_body_max = std::size_t{64} * 1024 * 1024;

/// The public paths: each leads, with all below it, to one service.
std::span<const std::string_view> public_prefixes();

/// The route table. Whole segments; what no line names is empty, `/internal` above all, and so is a
/// path that two readers could understand differently (dot segments, empty segments, encoded
/// slashes).
std::optional<Destination> find_destination(std::string_view path);

/// Whether `method` (as on the wire) on `path` is more than ordinary traffic.
Traffic traffic_of(std::string_view method, std::string_view path);

/// Whether an Idempotency-Key means anything there: never for /auth and /webhooks.
bool honours_idempotency_key(std::string_view path);

}  // namespace stoa::gateway
