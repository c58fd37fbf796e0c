#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include "servicekit/postgres/detail/connector.hpp"
#include "servicekit/postgres/detail/unit.hpp"

struct pg_conn;

namespace stoa::postgres::detail {

class Connection;

/// Who is told what becomes of a connection.
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  virtual void on_ready(std::shared_ptr<Connection> connection) = 0;
  /// `survivors`: reads of callers that still have time and may be sent elsewhere.
  virtual void on_closed(std::shared_ptr<Connection> connection, Failure why,
                         std::vector<UnitPtr> survivors) = 0;
  virtual void on_reads_resent(std::size_t count) = 0;
};

/// One libpq connection in pipeline mode on one loop: made, connected once, closed once.
///
/// Reads issued in one turn of the loop share one Sync; when one of them fails, PostgreSQL reports
/// the rest as aborted, which means never executed, and they are sent again. A write has a Sync of
/// its own, hence its own implicit transaction.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::io_context& loop, std::weak_ptr<ConnectionOwner> owner,
             Clock::time_point connect_by, std::size_t first_server = 0);
  ~Connection();

  /// Never blocks: `parameters` name addresses, not hosts to resolve.
  void connect(const Parameters& parameters);

  bool ready() const { return state_ == State::ready; }
  bool closed() const { return state_ == State::closed; }
  bool was_ready() const { return was_ready_; }
  std::size_t first_server() const { return first_server_; }  ///< of those that the DSN lists
  bool has_open_reads() const { return open_reads_; }
  std::size_t load() const { return steps_.size(); }
  std::size_t writes() const { return writes_; }  ///< in flight

  void submit(UnitPtr unit);

  /// Answers those whose deadline passed. When the statement that the server works on is one of
  /// them, the connection is closed: nobody waits behind it.
  void expire(Clock::time_point now);

  /// Every unit in flight fails with `why`.
  void close(Failure why);

 private:
  enum class State : std::uint8_t { connecting, ready, closed };
  struct Step {
    enum class Kind : std::uint8_t { prepare, execute, sync };
    Kind kind;
    UnitPtr unit;           ///< empty for the Sync of shared reads and of a prepare
    std::size_t index = 0;  ///< of the query in its unit
    bool aborted = false;
  };

  void poll_connect();
  void wait_for_socket(bool readable);
  void enter_pipeline();
  void read_more();
  void flush();
  void schedule_flush();

  void send(const UnitPtr& unit, bool alone);
  bool prepare(const UnitPtr& unit, std::size_t index);
  bool execute(const UnitPtr& unit, std::size_t index);
  bool send_sync(UnitPtr unit);
  void send_failed(const UnitPtr& unit);

  void drain();
  void accept(pg_result* result);
  void accept_error(Step& step, pg_result* result);
  void end_step();
  void end_sync();
  std::string last_error() const;

  boost::asio::io_context& loop_;
  std::weak_ptr<ConnectionOwner> owner_;
  Clock::time_point connect_by_;
  std::size_t first_server_;
  boost::asio::posix::basic_stream_descriptor<Executor> socket_;
  pg_conn* connection_ = nullptr;
  State state_ = State::connecting;
  bool was_ready_ = false;

  std::deque<Step> steps_;       ///< sent and not answered, in the order sent
  std::vector<UnitPtr> resend_;  ///< after the Sync that is being answered
  std::size_t writes_ = 0;
  bool step_answered_ = false;
  bool open_reads_ = false;
  bool flush_scheduled_ = false;
  bool writing_ = false;

  // Keyed by the address of the literal: no hashing of SQL text at run time.
  std::unordered_map<const char*, std::string> prepared_;
  std::size_t statements_made_ = 0;
  std::vector<const char*> values_;
  std::vector<std::string> numbers_;
};

}  // namespace stoa::postgres::detail
