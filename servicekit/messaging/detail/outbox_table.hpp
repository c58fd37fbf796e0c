#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/async/trace_context.hpp"
#include "servicekit/core/secret.hpp"
#include "servicekit/core/time.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/core/uuid.hpp"

struct pg_conn;
struct pg_result;

namespace stoa::messaging::detail {

/// The database failed, as against the broker: the relay has lost its lock and starts over.
class OutboxUnavailable : public Unavailable {
 public:
  using Unavailable::Unavailable;
};

struct OutboxRow {
  std::int64_t seq = 0;  ///< names the row here; the event's id is `id`
  Uuid id;
  Instant written{};
  std::string type;
  std::string subject;
  std::int64_t aggregate_version = 0;
  std::string data;
  std::string traceparent;
};

/// How full the outbox is.
struct OutboxFill {
  std::int64_t rows = 0;                   ///< counted up to the limit that was asked for
  std::chrono::milliseconds oldest_age{};  ///< by the database's clock
};

/// The outbox as its relay sees it, on one blocking libpq connection of its own: the lock that
/// makes this relay the active one ends with the connection, and so does its right to read.
/// Belongs to one thread. Every call waits at most 4 s and throws OutboxUnavailable.
class OutboxTable {
 public:
  OutboxTable(const Secret<>& dsn, const std::string& service);
  ~OutboxTable();

  /// Whether this connection is now, or was before, the active one. Also listens for wake-ups of
  /// the others then.
  bool try_lock();
  /// Wakes the active relay, wherever it is. In a transaction of its own, because a commit with
  /// NOTIFY takes a lock of the whole database, and business transactions must not wait for it.
  void notify();
  /// Whether another relay notified since the last call; never waits.
  bool take_notification();
  /// Readable when a notification may have come.
  int fd() const;

  struct Wanted {
    std::vector<std::int64_t> forget;     ///< confirmed: deleted in the same statement
    std::int64_t above = 0;               ///< read rows with a higher number only
    std::vector<std::int64_t> in_flight;  ///< published, not confirmed: not read again
    std::vector<std::string> held;        ///< types that have no queue just now
    std::size_t count_max = 0;
  };
  /// The oldest rows that can be published.
  std::vector<OutboxRow> forget_and_read(const Wanted& wanted);
  /// Of a mutant: what is read and not confirmed dies with this process, told to nobody.
  void forget(const std::vector<OutboxRow>& rows);

  OutboxFill fill(std::int64_t rows_max);

 private:
  struct Finish {
    void operator()(pg_conn* connection) const;
    void operator()(pg_result* result) const;
  };
  using Answer = std::unique_ptr<pg_result, Finish>;

  Answer run(const char* sql, const std::vector<std::string>& params);
  Answer run_prepared(const char* name, const std::vector<std::string>& params);
  void prepare(const char* name, const char* sql);
  Answer finish(const char* doing);
  void flush(std::chrono::steady_clock::time_point deadline);
  void await(short events, std::chrono::steady_clock::time_point deadline) const;
  [[noreturn]] void fail(const std::string& doing);

  std::unique_ptr<pg_conn, Finish> connection_;
};

}  // namespace stoa::messaging::detail
