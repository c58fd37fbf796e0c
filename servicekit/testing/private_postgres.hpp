#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "servicekit/core/secret.hpp"
#include "servicekit/postgres/migrations.hpp"

namespace stoa::testing_support {

/// A PostgreSQL 17 of this test binary alone: free port, data in the temporary folder, no fsync,
/// killed and removed at the end. Takes about 0.1 s to start, 0.5 s more the first time on a
/// machine.
///
///   const auto dsn = PrivatePostgres::shared().database(migrations());   // one for each test
class PrivatePostgres {
 public:
  /// The server that all tests of a binary share; started when first asked for.
  static PrivatePostgres& shared();

  PrivatePostgres();
  PrivatePostgres(const PrivatePostgres&) = delete;
  PrivatePostgres& operator=(const PrivatePostgres&) = delete;
  ~PrivatePostgres();

  /// A new, empty database; returns its DSN (role postgres, every right).
  Secret<> database();
  /// A new database with servicekit's tables and `migrations`. The first call makes a template for
  /// that set; the next ones copy it (about 50 ms).
  Secret<> database(std::span<const postgres::Migration> migrations);

  /// Runs statements on `dsn` outside of what is tested; returns the first column of the first row
  /// of the last one, "" when there is none. Throws std::runtime_error.
  static std::string sql(const Secret<>& dsn, const std::string& statements);

  std::uint16_t port() const { return port_; }

  void start();   ///< after kill() or stop(); the data is as it was
  void kill();    ///< SIGKILL to every process of the server
  void stop();    ///< fast shutdown: clients are told 57P01
  void freeze();  ///< SIGSTOP: accepts and says nothing
  void thaw();

 private:
  std::vector<pid_t> processes() const;
  void signal_all(int number) const;
  bool answers() const;
  Secret<> dsn(const std::string& name) const;

  std::filesystem::path directory_;
  std::uint16_t port_ = 0;
  pid_t server_ = -1;
  int databases_ = 0;
  std::vector<std::pair<const postgres::Migration*, std::string>> templates_;
};

}  // namespace stoa::testing_support
