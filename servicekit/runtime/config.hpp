#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/secret.hpp"

namespace stoa::runtime {

/// The environment as typed settings. Every setting is read before the first complaint, so that a
/// mis-configured process names all its mistakes at once.
class Environment {
 public:
  /// `get` looks a name up; the default is the process's environment.
  explicit Environment(std::function<std::optional<std::string>(const std::string&)> get = {});

  std::string text(std::string_view name, std::optional<std::string> fallback = std::nullopt);
  std::int64_t number(std::string_view name, std::int64_t fallback, std::int64_t min,
                      std::int64_t max);
  double ratio(std::string_view name, double fallback);  ///< 0 to 1
  bool flag(std::string_view name, bool fallback);       ///< true or false
  /// The unit is part of the name: STOA_…_MS, …_SECONDS.
  std::chrono::milliseconds milliseconds(std::string_view name, std::chrono::milliseconds fallback,
                                         std::chrono::milliseconds min,
                                         std::chrono::milliseconds max);
  /// Comma-separated; every entry must be "host:port".
  std::vector<std::string> addresses(std::string_view name,
                                     std::optional<std::string> fallback = std::nullopt);
  /// NAME_FILE (first line end removed) wins over NAME. Required.
  Secret<> secret(std::string_view name);
  std::optional<Secret<>> optional_secret(std::string_view name);

  /// <NAME>_DSN (libpq keywords without a password) and <NAME>_PASSWORD or <NAME>_PASSWORD_FILE as
  /// one DSN. NAME is STOA_DATABASE or STOA_MIGRATE.
  Secret<> dsn(std::string_view name);

  /// Throws std::runtime_error with every problem, a line each; also for a STOA_ name nobody read.
  void check() const;

 private:
  std::function<std::optional<std::string>(const std::string&)> get_;
  std::vector<std::string> problems_;
  std::vector<std::string> read_;
};

}  // namespace stoa::runtime
