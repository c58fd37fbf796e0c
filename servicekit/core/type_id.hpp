#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "servicekit/core/uuid.hpp"

namespace stoa {

/// The 26 characters of Crockford base32 that TypeID 0.3 writes for a UUID, lower case.
std::string type_id_suffix(const Uuid& id);

/// Empty unless `text` is exactly such 26 characters, the first at most '7'.
std::optional<Uuid> parse_type_id_suffix(std::string_view text);

template <std::size_t Size>
struct Prefix {
  char text[Size]{};
  // NOLINTNEXTLINE(google-explicit-constructor): a literal is the template argument
  consteval Prefix(const char (&literal)[Size]) { std::copy_n(literal, Size, text); }
  constexpr std::string_view view() const { return {text, Size - 1}; }
};

/// A strong id: a UUID inside and in the database, `ord_01h…` at the edges. Ids of two kinds
/// never mix. The format is TypeID 0.3.
template <Prefix P>
struct TypeId {
  Uuid uuid;

  static constexpr std::string_view prefix() { return P.view(); }

  std::string str() const {
    std::string text{prefix()};
    text += '_';
    text += type_id_suffix(uuid);
    return text;
  }

  /// Empty for another prefix or anything malformed.
  static std::optional<TypeId> parse(std::string_view text) {
    if (!text.starts_with(prefix())) return std::nullopt;
    text.remove_prefix(prefix().size());
    if (!text.starts_with('_')) return std::nullopt;
    const auto uuid = parse_type_id_suffix(text.substr(1));
    if (!uuid) return std::nullopt;
    return TypeId{*uuid};
  }

  friend auto operator<=>(const TypeId&, const TypeId&) = default;
};

using UserId = TypeId<"usr">;
using SessionId = TypeId<"ses">;
using ProductId = TypeId<"prd">;
using VariantId = TypeId<"var">;
using WarehouseId = TypeId<"whe">;
using ImportId = TypeId<"imp">;
using ReservationId = TypeId<"res">;
using OrderId = TypeId<"ord">;
using PaymentId = TypeId<"pay">;
using AttemptId = TypeId<"att">;
using RefundId = TypeId<"rfd">;
using DeliveryId = TypeId<"dlv">;
using EventId = TypeId<"evt">;

}  // namespace stoa

template <stoa::Prefix P>
struct std::hash<stoa::TypeId<P>> {
  std::size_t operator()(const stoa::TypeId<P>& id) const noexcept {
    return std::hash<stoa::Uuid>{}(id.uuid);
  }
};
