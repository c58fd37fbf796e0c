#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "servicekit/core/time.hpp"

// When a session goes on and when it ends; when an account is locked. Pure.
namespace stoa::user {

inline constexpr std::chrono::minutes access_token_lifetime{15};
/// Without a refresh for so long, a session is over.
inline constexpr std::chrono::days session_idle_max{30};
/// A refresh token that comes again so soon, its successor unused, is a twin of the request or a
/// repeat of one whose answer was lost: no theft.
inline constexpr std::chrono::seconds refresh_grace{10};

/// So long a replaced refresh token is remembered as one that was ours; later it is as good as
/// invented.
inline constexpr std::chrono::days replaced_token_memory{7};

enum class EndReason : std::uint8_t { logout, logout_all, token_reused, password_changed, erased };
std::string_view name(EndReason reason);

/// What the store knows of a refresh token that was presented.
struct PresentedToken {
  bool rotated = false;  ///< by this very request
  bool ended = false;    ///< its session
  bool expired = false;  ///< its session
  std::chrono::milliseconds since_replaced{0};
  bool successor_used = false;
};

enum class RefreshVerdict : std::uint8_t {
  rotated,   ///< the successor was handed out for the first time
  repeated,  ///< the successor is handed out again
  over,      ///< the session had ended
  reused,    ///< somebody has a copy: the session must end
};
RefreshVerdict judge(const PresentedToken& token);

/// Failed logins of one account since the last success.
struct Failures {
  std::int64_t count = 0;
  std::chrono::milliseconds since_last{0};
};

inline constexpr std::int64_t failures_allowed = 10;
inline constexpr std::chrono::seconds lock_min{60};
inline constexpr std::chrono::seconds lock_max{900};
/// Failures older than this are forgotten.
inline constexpr std::chrono::hours failures_memory{24};

/// How much longer the account is locked; zero when it is not. From the tenth failure on, one
/// minute, doubled by each further one, at most 15: guessing is hopeless, and the owner of an
/// account that others try to lock waits a bounded time.
std::chrono::seconds locked_for(const Failures& failures);

}  // namespace stoa::user
