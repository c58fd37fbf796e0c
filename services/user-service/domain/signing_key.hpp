#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include "servicekit/core/time.hpp"

// When a signing key signs and how long its public half is told. Pure.
namespace stoa::user {

/// A new key is told so long before it signs: verifiers ask every 5 min, and a cache may hold the
/// answer for as long again.
inline constexpr std::chrono::minutes key_lead{10};
/// An old key is told so long after its successor signs: its last token lives 15 min, with leeway.
inline constexpr std::chrono::minutes key_overlap{20};

/// Which of the keys signs: the last that may. `signs_from` is in the order of generations and not
/// empty; while none may yet, the first does.
std::size_t signing_key(const std::vector<Instant>& signs_from, Instant now);

/// Whether the key at `index` belongs in the published set.
bool is_published(const std::vector<Instant>& signs_from, std::size_t index, Instant now);

}  // namespace stoa::user
