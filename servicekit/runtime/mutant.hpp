#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace stoa::runtime {

/// A literal as a template's argument.
template <std::size_t Size>
struct MutantName {
  // Implicit, so that the call reads mutant<"order.inbox_off">().
  consteval MutantName(const char (&literal)[Size])  // NOLINT(*-explicit-*, *-avoid-c-arrays)
      : text{std::to_array(literal)} {}

  std::array<char, Size> text;
};

#ifdef STOA_TESTING

/// Read by mutants; the name of one of this program's.
inline constexpr std::string_view mutant_setting = "STOA_MUTANT";

namespace detail {
bool enlist_mutant(std::string_view name) noexcept;
std::string replaced(std::string_view text, std::string_view part, std::string_view instead);

// Before main, so that a program knows its mutants when it reads its settings.
template <MutantName Name>
inline const bool is_armed = enlist_mutant({Name.text.data(), Name.text.size() - 1});
}  // namespace detail

/// True when STOA_MUTANT names this mutant: then the defence that it guards is switched off, and
/// tools/audit must notice. tools/mutants lists them from the sources: `Name` is a literal on the
/// line of its call, and stands there alone.
template <MutantName Name>
bool mutant() {
  return detail::is_armed<Name>;
}

/// A statement in which the armed mutant has `instead` for `defence`, which stands there once.
template <MutantName Name>
std::string_view mutant_sql(std::string_view sql, std::string_view defence,
                            std::string_view instead) {
  if (!mutant<Name>()) return sql;
  static const std::string mutated = detail::replaced(sql, defence, instead);
  return mutated;
}

/// What is wrong with STOA_MUTANT: it names nothing of this program, which then would prove
/// nothing.
std::optional<std::string> wrong_mutant();

#else

inline constexpr std::string_view mutant_setting;

template <MutantName>
consteval bool mutant() {
  return false;
}

template <MutantName>
constexpr std::string_view mutant_sql(std::string_view sql, std::string_view, std::string_view) {
  return sql;
}

inline std::optional<std::string> wrong_mutant() { return std::nullopt; }

#endif

}  // namespace stoa::runtime
