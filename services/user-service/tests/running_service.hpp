#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "servicekit/core/secret.hpp"
#include "servicekit/testing/free_port.hpp"

namespace stoa::user {

/// What the replicas of one installation share: a database, the services' keys, the master key.
class Installation {
 public:
  Installation();
  Installation(const Installation&) = delete;
  Installation& operator=(const Installation&) = delete;
  ~Installation();

  const Secret<>& dsn() const { return dsn_; }
  /// A header line with a token of `service` for user-service.
  std::string authorization_of(const std::string& service) const;
  std::map<std::string, std::string> environment() const;
  /// Runs the program to its end; its exit code.
  int command(std::vector<std::string> arguments) const;
  std::string sql(const std::string& statements) const;

  std::string master_key = "a master key of at least 32 characters";

 private:
  Secret<> dsn_;
  std::string jwks_path_;
};

/// One process of the program itself, on free ports; killed at the end.
class RunningService {
 public:
  /// Returns when it is ready.
  explicit RunningService(const Installation& installation);
  RunningService(const RunningService&) = delete;
  RunningService& operator=(const RunningService&) = delete;
  ~RunningService();

  std::uint16_t port() const { return ports_[0]; }
  /// SIGTERM; the exit code.
  int stop();

 private:
  std::array<std::uint16_t, 2> ports_ = testing_support::free_ports<2>();
  pid_t process_;
};

struct Answer {
  int status = 0;
  std::string raw;

  std::string_view body() const;
  std::string header(std::string_view name) const;
  /// The text of a member of the body, at any depth, "" when absent.
  std::string text(const std::string& member) const;
};

struct Call {
  std::string_view method = "GET";
  std::string path;
  std::string body{};
  std::string authorization{};  ///< a whole header line
  std::string headers{};        ///< whole header lines
  std::string_view content_type = "application/json";
};

Answer send(const RunningService& service, const Call& call);
std::string bearer(const std::string& token);

}  // namespace stoa::user
