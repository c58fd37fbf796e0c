#include "services/api-gateway/routes.hpp"

#include <algorithm>
#include <array>

#include "servicekit/core/ascii.hpp"

namespace stoa::gateway {
namespace {

struct Line {
  std::string_view prefix;
  Destination destination;
};

constexpr std::array lines{
    Line{"/api/v1/auth", {Upstream::user, json_body_max}},
    Line{"/api/v1/users", {Upstream::user, json_body_max}},
    Line{"/.well-known/jwks.json", {Upstream::user, json_body_max}},
    Line{"/api/v1/products", {Upstream::product, json_body_max}},
    Line{"/api/v1/variants", {Upstream::product, json_body_max}},
    Line{"/api/v1/imports", {Upstream::product, import_body_max, true}},
    Line{"/api/v1/orders", {Upstream::order, json_body_max}},
    Line{"/api/v1/admin/orders", {Upstream::order, json_body_max}},
    Line{"/api/v1/payments", {Upstream::payment, json_body_max}},
    Line{"/api/v1/ledger", {Upstream::payment, json_body_max}},
    Line{"/api/v1/webhooks/psp", {Upstream::payment, json_body_max}},
};

constexpr auto prefixes = [] {
  std::array<std::string_view, lines.size()> all{};
  std::ranges::transform(lines, all.begin(), &Line::prefix);
  return all;
}();

bool is_under(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

// An escape that a reader might undo before it splits the path: "%2e" ".", "%2f" "/", "%5c" "\".
bool hides_structure(std::string_view path) {
  for (std::size_t at = path.find('%'); at != std::string_view::npos; at = path.find('%', at + 1)) {
    const std::string_view escape = path.substr(at + 1, 2);
    if (escape.size() < 2) return true;
    const char low = lower_case(escape[1]);
    if ((escape[0] == '2' && (low == 'e' || low == 'f')) || (escape[0] == '5' && low == 'c')) {
      return true;
    }
  }
  return false;
}

bool is_ambiguous(std::string_view path) {
  constexpr std::array<std::string_view, 3> forbidden{"//", "\\", ";"};
  if (std::ranges::any_of(forbidden, [&](std::string_view one) { return path.contains(one); })) {
    return true;
  }
  constexpr std::array<std::string_view, 2> dots{"/.", "/.."};
  const auto has_dot_segment = [&](std::string_view dot) {
    for (std::size_t at = path.find(dot); at != std::string_view::npos;
         at = path.find(dot, at + 1)) {
      const std::size_t end = at + dot.size();
      if (end == path.size() || path[end] == '/') return true;
    }
    return false;
  };
  return std::ranges::any_of(dots, has_dot_segment) || hides_structure(path);
}

}  // namespace

std::span<const std::string_view> public_prefixes() { return prefixes; }

std::optional<Destination> find_destination(std::string_view path) {
  const auto* const line =
      std::ranges::find_if(lines, [&](const Line& one) { return is_under(path, one.prefix); });
  if (line == lines.end() || is_ambiguous(path)) return std::nullopt;
  return line->destination;
}

Traffic traffic_of(std::string_view method, std::string_view path) {
  if (method != "POST") return Traffic::ordinary;
  if (is_under(path, "/api/v1/auth")) return Traffic::auth;
  if (path == "/api/v1/orders") return Traffic::place_order;
  if (path == "/api/v1/imports") return Traffic::import;
  return Traffic::ordinary;
}

bool honours_idempotency_key(std::string_view path) {
  return !is_under(path, "/api/v1/auth") && !is_under(path, "/api/v1/webhooks");
}

}  // namespace stoa::gateway
