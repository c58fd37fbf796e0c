#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/secret.hpp"

namespace stoa::runtime {

/// What is wrong with the environment, a line for each mistake.
class ConfigurationError : public std::runtime_error {
 public:
  explicit ConfigurationError(std::vector<std::string> problems);
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  std::vector<std::string> problems_;
};

/// The environment as typed settings. Every setting is read before the first complaint, so that a
/// mis-configured process names all its mistakes at once. A setting that is set to nothing counts
/// as not set.
class Environment {
 public:
  using Get = std::function<std::optional<std::string>(const std::string&)>;

  /// `get` looks a name up; the default is the process's environment.
  explicit Environment(Get get = {});

  std::string text(std::string_view name, std::optional<std::string> fallback = std::nullopt);
  std::string one_of(std::string_view name, std::string_view fallback,
                     std::initializer_list<std::string_view> choices);
  std::int64_t number(std::string_view name, std::int64_t fallback, std::int64_t min,
                      std::int64_t max);
  double ratio(std::string_view name, double fallback);  ///< 0 to 1
  bool flag(std::string_view name, bool fallback);       ///< true or false
  /// The unit is part of the name: STOA_…_MS, …_SECONDS.
  std::chrono::milliseconds milliseconds(std::string_view name, std::chrono::milliseconds fallback,
                                         std::chrono::milliseconds min,
                                         std::chrono::milliseconds max);
  /// Comma-separated, blanks around the entries ignored.
  std::vector<std::string> list(std::string_view name,
                                std::optional<std::string> fallback = std::nullopt);
  /// Comma-separated; every entry must be "host:port".
  std::vector<std::string> addresses(std::string_view name,
                                     std::optional<std::string> fallback = std::nullopt);
  /// NAME_FILE (first line end removed) wins over NAME. Required.
  Secret<> secret(std::string_view name);
  std::optional<Secret<>> optional_secret(std::string_view name);

  /// <NAME>_DSN (libpq keywords without a password) and, if set, <NAME>_PASSWORD or
  /// <NAME>_PASSWORD_FILE as one DSN. NAME is STOA_DATABASE or STOA_MIGRATE.
  Secret<> dsn(std::string_view name);

  /// For a setting whose form its reader knows: `is_valid` false becomes the problem `what`.
  void demand(bool is_valid, std::string_view name, std::string_view what);

  /// Throws ConfigurationError with every problem; also for a STOA_ name nobody read.
  void check() const;

  /// The same without the last, for a command that reads only what it needs.
  void check_read() const;

 private:
  std::optional<std::string> look_up(std::string_view name);
  std::optional<std::string> look_up_file(std::string_view name);
  void complain(std::string_view name, std::string_view what);
  std::vector<std::string> unknown_names() const;

  bool is_process_environment_;
  Get get_;
  std::vector<std::string> problems_;
  std::vector<std::string> read_;
};

}  // namespace stoa::runtime
