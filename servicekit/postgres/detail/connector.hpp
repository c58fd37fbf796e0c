#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "servicekit/postgres/database.hpp"

namespace stoa::postgres::detail {

/// Keywords and values for PQconnectStartParams.
using Parameters = std::vector<std::pair<std::string, std::string>>;

/// As libpq's PQconnect…Params take them: two arrays, each with a null at its end. They point into
/// the Parameters, which must stay.
struct ParameterArrays {
  explicit ParameterArrays(const Parameters& parameters);

  std::vector<const char*> keywords{};
  std::vector<const char*> values{};
};

/// The DSN's own settings, then ours for whatever it leaves open: time-outs on both sides,
/// keepalives, application name, a writable server. Throws std::runtime_error when it cannot be
/// parsed.
Parameters parameters_of(const DatabaseConfig& config);

/// Resolves names on a thread of its own, because PQconnectStart would resolve them in the loop.
class Connector {
 public:
  explicit Connector(const DatabaseConfig& config);
  ~Connector();

  /// Calls `then` on `loop` with parameters that name addresses only, or with what went wrong. Of a
  /// list of servers the one at `first` (modulo their number) is asked first.
  void resolve(boost::asio::io_context& loop, std::size_t first,
               std::function<void(std::expected<Parameters, std::string>)> then);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stoa::postgres::detail
