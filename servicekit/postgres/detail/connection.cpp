#include "servicekit/postgres/detail/connection.hpp"

#include <algorithm>
#include <format>
#include <utility>

#include <boost/asio/post.hpp>
#include <libpq-fe.h>

#include "servicekit/runtime/mutant.hpp"

namespace stoa::postgres::detail {
namespace {

using boost::system::error_code;

// A statement that the server does not know (any more) is prepared and sent again: after a
// DEALLOCATE, a pooler in between, or a migration that changed what it returns.
constexpr int sends_max = 3;

std::string trimmed(const char* message) {
  std::string text = message == nullptr ? "" : message;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::string_view field(const PGresult* result, int code) {
  const char* value = PQresultErrorField(result, code);
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

// Refused at Bind, before anything ran. The second is "cached plan must not change result type".
bool never_ran(std::string_view sqlstate, std::string_view message) {
  return sqlstate == "26000" || (sqlstate == "0A000" && message.contains("cached plan"));
}

void ignore_notice(void*, const PGresult*) {}

}  // namespace

Connection::Connection(boost::asio::io_context& loop, std::weak_ptr<ConnectionOwner> owner,
                       Clock::time_point connect_by, std::size_t first_server)
    : loop_{loop},
      owner_{std::move(owner)},
      connect_by_{connect_by},
      first_server_{first_server},
      socket_{loop} {}

Connection::~Connection() {
  if (socket_.is_open()) socket_.release();  // the descriptor is libpq's to close
  PQfinish(connection_);
}

void Connection::connect(const Parameters& parameters) {
  if (closed()) return;
  const ParameterArrays arrays{parameters};
  connection_ = PQconnectStartParams(arrays.keywords.data(), arrays.values.data(), 0);
  if (connection_ == nullptr || PQstatus(connection_) == CONNECTION_BAD) {
    close(refused("08001", last_error()));
    return;
  }
  PQsetNoticeReceiver(connection_, &ignore_notice, nullptr);
  wait_for_socket(false);
}

// The socket may be another one after each step (several addresses, a retry without TLS), so it is
// handed to the loop for one wait at a time.
void Connection::wait_for_socket(bool readable) {
  using Descriptor = boost::asio::posix::descriptor_base;
  socket_.assign(PQsocket(connection_));
  socket_.async_wait(readable ? Descriptor::wait_read : Descriptor::wait_write,
                     [self = shared_from_this()](error_code error) {
                       if (self->closed()) return;
                       self->socket_.release();
                       if (error) return self->close(lost(error.message()));
                       self->poll_connect();
                     });
}

void Connection::poll_connect() {
  switch (PQconnectPoll(connection_)) {
    case PGRES_POLLING_OK:
      return enter_pipeline();
    case PGRES_POLLING_READING:
      return wait_for_socket(true);
    case PGRES_POLLING_WRITING:
      return wait_for_socket(false);
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE:
      return close(refused("08001", last_error()));
  }
  std::unreachable();
}

void Connection::enter_pipeline() {
  if (PQsetnonblocking(connection_, 1) != 0 || PQenterPipelineMode(connection_) != 1) {
    return close(refused("08001", last_error()));
  }
  socket_.assign(PQsocket(connection_));
  state_ = State::ready;
  was_ready_ = true;
  read_more();
  if (const auto owner = owner_.lock()) owner->on_ready(shared_from_this());
}

void Connection::read_more() {
  socket_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                     [self = shared_from_this()](error_code error) {
                       if (!self->ready()) return;
                       if (error) return self->close(lost(error.message()));
                       const bool alive = PQconsumeInput(self->connection_) == 1;
                       // What arrived before the end is still an answer.
                       self->drain();
                       if (!self->ready()) return;
                       if (!alive) return self->close(lost(self->last_error()));
                       self->read_more();
                     });
}

void Connection::schedule_flush() {
  if (std::exchange(flush_scheduled_, true)) return;
  boost::asio::post(loop_, [self = shared_from_this()] {
    self->flush_scheduled_ = false;
    if (!self->ready()) return;
    if (self->open_reads_ && !self->send_sync(nullptr)) return self->send_failed(nullptr);
    self->flush();
  });
}

void Connection::flush() {
  const int unsent = PQflush(connection_);
  if (unsent < 0) return close(lost(last_error()));
  if (unsent == 0 || std::exchange(writing_, true)) return;
  socket_.async_wait(boost::asio::posix::descriptor_base::wait_write,
                     [self = shared_from_this()](error_code error) {
                       self->writing_ = false;
                       if (!self->ready()) return;
                       if (error) return self->close(lost(error.message()));
                       self->flush();
                     });
}

void Connection::submit(UnitPtr unit) { send(unit, !unit->shares_sync); }

void Connection::send(const UnitPtr& unit, bool alone) {
  ++unit->sends;
  unit->own_sync = alone;
  unit->statement_missing = false;
  unit->results.assign(unit->queries.size(), Rows{});
  // A statement is prepared under a Sync of its own, so that a failing neighbour cannot undo it.
  for (std::size_t i = 0; i < unit->queries.size(); ++i) {
    if (!prepared_.contains(unit->queries[i].sql.data()) && !prepare(unit, i)) {
      return send_failed(unit);
    }
  }
  if (alone && open_reads_ && !send_sync(nullptr)) return send_failed(unit);
  for (std::size_t i = 0; i < unit->queries.size(); ++i) {
    if (!execute(unit, i)) return send_failed(unit);
  }
  if (alone) {
    if (!send_sync(unit)) return send_failed(unit);
  } else {
    open_reads_ = true;
  }
  schedule_flush();
}

bool Connection::prepare(const UnitPtr& unit, std::size_t index) {
  if (open_reads_ && !send_sync(nullptr)) return false;
  const Query& query = unit->queries[index];
  const std::string name = std::format("s{}", ++statements_made_);
  const std::string sql{query.sql};
  steps_.push_back({.kind = Step::Kind::prepare, .unit = unit, .index = index});
  if (PQsendPrepare(connection_, name.c_str(), sql.c_str(), 0, nullptr) != 1) return false;
  prepared_.emplace(query.sql.data(), name);
  return send_sync(nullptr);
}

bool Connection::execute(const UnitPtr& unit, std::size_t index) {
  const Query& query = unit->queries[index];
  const auto statement = prepared_.find(query.sql.data());
  values_.clear();
  numbers_.clear();
  numbers_.reserve(query.params.size());  // pointers into it must stay
  for (const Param& value : query.params) {
    if (const auto* text = std::get_if<std::string>(&value)) {
      values_.push_back(text->c_str());
    } else if (const auto* number = std::get_if<std::int64_t>(&value)) {
      values_.push_back(numbers_.emplace_back(std::to_string(*number)).c_str());
    } else if (const auto* flag = std::get_if<bool>(&value)) {
      values_.push_back(*flag ? "t" : "f");
    } else {
      values_.push_back(nullptr);
    }
  }
  steps_.push_back({.kind = Step::Kind::execute, .unit = unit, .index = index});
  return PQsendQueryPrepared(connection_, statement->second.c_str(),
                             static_cast<int>(values_.size()), values_.data(), nullptr, nullptr,
                             0) == 1;
}

bool Connection::send_sync(UnitPtr unit) {
  open_reads_ = false;
  writes_ += unit != nullptr ? 1 : 0;
  steps_.push_back({.kind = Step::Kind::sync, .unit = std::move(unit)});
  return PQsendPipelineSync(connection_) == 1;
}

// Closing answers whoever has a step; one whose first step was not made yet has none.
void Connection::send_failed(const UnitPtr& unit) {
  const auto why = lost(last_error());
  const bool has_step = std::ranges::contains(steps_, unit, &Step::unit);
  close(why);
  if (unit != nullptr && !has_step) unit->finish(why);
}

void Connection::drain() {
  while (ready() && !steps_.empty() && PQisBusy(connection_) == 0) {
    PGresult* result = PQgetResult(connection_);
    if (result != nullptr) {
      accept(result);
    } else if (std::exchange(step_answered_, false)) {
      if (steps_.front().kind != Step::Kind::sync) end_step();
    } else {
      return;
    }
  }
}

void Connection::accept(pg_result* result) {
  const Rows rows{result};  // owns it
  Step& step = steps_.front();
  switch (PQresultStatus(result)) {
    case PGRES_PIPELINE_SYNC:
      return end_sync();
    case PGRES_PIPELINE_ABORTED:
      step_answered_ = true;
      step.aborted = true;
      return;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
      step_answered_ = true;
      if (step.kind == Step::Kind::execute) step.unit->results[step.index] = rows;
      return;
    default:
      step_answered_ = true;
      return accept_error(step, result);
  }
}

void Connection::accept_error(Step& step, pg_result* result) {
  const auto sqlstate = field(result, PG_DIAG_SQLSTATE);
  // The primary message only: the detail may quote a row.
  const auto message = field(result, PG_DIAG_MESSAGE_PRIMARY);
  auto failure = refused(sqlstate, std::string{message});
  if (sqlstate.starts_with("57P")) return close(std::move(failure));
  if (step.unit == nullptr) return;

  Unit& unit = *step.unit;
  const bool unprepared = step.kind == Step::Kind::prepare;
  if (unprepared || never_ran(sqlstate, message)) {
    prepared_.erase(unit.queries[step.index].sql.data());
    unit.statement_missing =
        !unprepared && !unit.failure && !unit.in_transaction && unit.sends < sends_max;
    if (unit.statement_missing) return;
  }
  if (!unit.failure) unit.failure = std::move(failure);
}

void Connection::end_step() {
  const Step step = std::move(steps_.front());
  steps_.pop_front();
  if (step.kind != Step::Kind::execute) return;
  Unit& unit = *step.unit;
  if (unit.command_tag == "COMMIT" && !unit.failure &&
      unit.results.back().command_tag() != unit.command_tag) {
    unit.failure = refused("25P02", "an earlier statement of the transaction had failed");
  }
  if (unit.own_sync) return;  // ends with that Sync
  const bool never_executed = step.aborted && !runtime::mutant<"postgres.aborted_not_resent">();
  if (never_executed || unit.statement_missing) {
    resend_.push_back(step.unit);
  } else {
    unit.finish();
  }
}

void Connection::end_sync() {
  const Step step = std::move(steps_.front());
  steps_.pop_front();
  if (step.unit != nullptr) {
    --writes_;
    if (step.unit->statement_missing) {
      resend_.push_back(step.unit);
    } else {
      step.unit->finish();
    }
  }
  if (resend_.empty()) return;
  const auto again = std::exchange(resend_, {});
  for (const UnitPtr& unit : again) {
    if (unit->done) continue;
    if (!ready()) {
      unit->finish(lost("the connection was closed"));
      continue;
    }
    send(unit, true);
  }
  if (const auto owner = owner_.lock()) owner->on_reads_resent(again.size());
}

void Connection::expire(Clock::time_point now) {
  if (state_ == State::connecting) {
    if (now >= connect_by_) close(lost("connecting took too long"));
    return;
  }
  // Finished after the walk: what a caller does then may close this connection.
  std::vector<UnitPtr> late;
  UnitPtr first;
  for (const Step& step : steps_) {
    if (step.unit == nullptr) continue;
    if (first == nullptr) first = step.unit;
    if (now >= step.unit->deadline && !step.unit->done) late.push_back(step.unit);
  }
  for (const UnitPtr& unit : late) unit->finish(lost("the deadline passed"));
  if (first != nullptr && now >= first->deadline) {
    close(lost("the statement before it passed its deadline"));
  }
}

void Connection::close(Failure why) {
  if (closed()) return;
  const auto self = shared_from_this();
  state_ = State::closed;
  if (socket_.is_open()) socket_.release();
  PQfinish(std::exchange(connection_, nullptr));

  std::vector<UnitPtr> survivors;
  const auto end = [&](const UnitPtr& unit) {
    if (unit == nullptr || unit->done) return;
    if (unit->shares_sync && unit->sends == 1 && !unit->failure) {
      if (survivors.empty() || survivors.back() != unit) survivors.push_back(unit);
    } else {
      unit->finish(why);
    }
  };
  for (const Step& step : steps_) end(step.unit);
  for (const UnitPtr& unit : resend_) end(unit);
  steps_.clear();
  resend_.clear();
  if (const auto owner = owner_.lock()) {
    owner->on_closed(self, std::move(why), std::move(survivors));
  } else {
    for (const UnitPtr& unit : survivors) unit->finish(why);
  }
}

std::string Connection::last_error() const {
  return connection_ == nullptr ? "out of memory" : trimmed(PQerrorMessage(connection_));
}

}  // namespace stoa::postgres::detail
