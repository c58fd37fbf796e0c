#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "servicekit/async/context.hpp"
#include "servicekit/async/loops.hpp"
#include "servicekit/async/task.hpp"
#include "servicekit/core/secret.hpp"
#include "servicekit/core/time.hpp"
#include "servicekit/core/uuid.hpp"

struct pg_result;

namespace stoa::telemetry {
class Telemetry;
}

namespace stoa::postgres {

/// NULL, or a value sent as text and typed by the statement.
using Param = std::variant<std::nullptr_t, bool, std::int64_t, std::string>;

Param param(const Uuid& id);
Param param(Instant instant);  ///< for a timestamptz
template <class T>
Param param(const std::optional<T>& value) {
  return value ? Param{*value} : Param{nullptr};
}
/// PostgreSQL array literals, elements escaped: for `= ANY($1::uuid[])` and `unnest($1::text[])`.
Param array(const std::vector<std::string>& values);
Param array(const std::vector<std::int64_t>& values);
Param array(const std::vector<Uuid>& values);
Param array(const std::vector<std::optional<std::string>>& values);

/// One SQL text with its parameters; `name` is what traces and metrics show.
struct Query {
  std::string_view name;
  bool read_only;  ///< declared, never guessed: such statements may share a Sync and be re-sent
  std::string_view
      sql;  ///< a string literal: its address keys the statement prepared per connection
  std::vector<Param> params;
};

class Row {
 public:
  std::string_view text(int column) const;
  bool is_null(int column) const;
  bool flag(int column) const;
  std::int64_t number(int column) const;
  Uuid uuid(int column) const;
  /// Of a column selected as milliseconds: `(extract(epoch FROM created_at) * 1000)::bigint`.
  Instant instant(int column) const;
  std::optional<std::string> optional_text(int column) const;

 private:
  friend class Rows;
  Row(pg_result* result, int row) : result_{result}, row_{row} {}
  pg_result* result_;
  int row_;
};

class Rows {
 public:
  Rows() = default;
  explicit Rows(pg_result* result);  ///< takes ownership
  std::size_t size() const;
  bool empty() const { return size() == 0; }
  Row operator[](std::size_t index) const;
  Row front() const { return (*this)[0]; }
  std::int64_t affected() const;         ///< rows inserted, updated or deleted
  std::string_view command_tag() const;  ///< "INSERT 0 1", "COMMIT"

  class Iterator {
   public:
    Iterator(const Rows* rows, std::size_t index) : rows_{rows}, index_{index} {}
    Row operator*() const { return (*rows_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return index_ == other.index_; }

   private:
    const Rows* rows_;
    std::size_t index_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

 private:
  std::shared_ptr<pg_result> result_;
};

/// The server refused a statement: a broken constraint, a wrong type, SQL that is a bug. Services
/// do not catch it; the consumer treats it as a message that cannot be done.
class SqlError : public std::runtime_error {
 public:
  SqlError(std::string sqlstate, const std::string& message);
  const std::string& sqlstate() const { return sqlstate_; }

 private:
  std::string sqlstate_;
};

namespace detail {
class Connection;
struct Lease;
}  // namespace detail

/// An interactive transaction. Rolls back on destruction unless commit() completed. Movable.
class Transaction {
 public:
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&& other) noexcept;
  ~Transaction();

  /// Throws Unavailable when the connection is lost, the deadline passes, or PostgreSQL asks for a
  /// repeat (40001, 40P01); SqlError otherwise.
  Task<Rows> run(Query query);
  /// Throws Unavailable when the connection dies: the outcome is then unknown.
  Task<> commit();

 private:
  friend class Database;
  explicit Transaction(std::unique_ptr<detail::Lease> lease);
  std::unique_ptr<detail::Lease> lease_;
};

struct DatabaseConfig {
  Secret<> dsn{};  ///< libpq keywords or URI; time-outs, keepalives and application_name are added
  std::string application_name{};
  std::size_t pipelines = 2;  ///< connections per loop that share single statements
  /// More are made while writes wait for one another: PostgreSQL writes the commits of several
  /// connections to the disk at once, those of one connection one by one. Closed when idle for 30
  /// s.
  std::size_t pipelines_max = 8;
  std::size_t transactions_max = 8;  ///< connections per loop for interactive transactions
  std::size_t waiting_max = 512;  ///< statements in flight or waiting per loop; beyond: Unavailable
  std::chrono::milliseconds connect_timeout{2'000};
  std::chrono::milliseconds statement_timeout{5'000};
  /// Every statement is planned once per connection (`plan_cache_mode=force_generic_plan`): for
  /// services whose statements all go by a key. PostgreSQL itself judges a plan for the two rows of
  /// this very batch cheaper than one for any number, and plans each batch anew.
  bool generic_plans = false;
};

/// PostgreSQL 17 by libpq in pipeline mode. Connects in the background and for ever (backoff with
/// jitter, at most 2 s); while there is no connection every call throws Unavailable at once or at
/// its deadline.
class Database {
 public:
  Database(Loops& loops, DatabaseConfig config, telemetry::Telemetry& telemetry);
  ~Database();

  void start();

  /// One statement, one round trip, its own transaction. Reads of one loop turn share one Sync; a
  /// read that PostgreSQL reports as aborted was never executed and is sent again. A statement that
  /// fails with 40001 or 40P01 is repeated within the deadline.
  /// Throws Unavailable when the connection is lost or the deadline passes (a write may then have
  /// happened), SqlError when the server refuses.
  Task<Rows> run(Context context, Query query);

  /// Several statements in one round trip and one implicit transaction: all or nothing. No
  /// statement can depend on the rows of another.
  Task<std::vector<Rows>> run_all(Context context, std::vector<Query> queries);

  /// As run(), for a write of which many come at once: those of one loop that come while the same
  /// statement is at the server share the next transaction. Each sees what those before it did, and
  /// none may undo another's: what fails is asked again without its neighbours. Waits for its own
  /// deadline only. Not for statements whose locks meet those of strangers: they would hold them
  /// for all, until the last has run.
  Task<Rows> run_grouped(Context context, Query query);

  /// Every statement of the transaction shares the deadline.
  Task<Transaction> begin(Context context);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stoa::postgres
