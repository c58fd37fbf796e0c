#include "servicekit/messaging/detail/outbox_table.hpp"

#include <array>
#include <charconv>
#include <utility>

#include <libpq-fe.h>
#include <poll.h>

namespace stoa::messaging::detail {
namespace {

constexpr std::chrono::milliseconds answer_timeout{4'000};
// Advisory locks are per database, hence per service. "StoaOutb" as a number.
constexpr const char* try_lock_sql = "SELECT pg_try_advisory_lock(6013526535396978786)";
constexpr const char* listen_sql = "LISTEN stoa_outbox";
constexpr const char* notify_sql = "NOTIFY stoa_outbox";
// A lost deletion only publishes a row once more, which every inbox absorbs: no fsync for it. The
// two statements below go by the table's key whatever it holds, and are planned once.
constexpr const char* settings_sql =
    "SELECT set_config('synchronous_commit', 'off', false), set_config('jit', 'off', false),"
    " set_config('enable_seqscan', 'off', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false)";

// One statement for both halves of a turn. It sees one snapshot, in which what it deletes is still
// there: hence the exclusion by number.
constexpr const char* read_name = "outbox.forget_and_read";
constexpr const char* read_sql = R"sql(
  WITH forgotten AS (DELETE FROM outbox WHERE seq = ANY($1::bigint[]))
  SELECT seq, id, (extract(epoch FROM created_at) * 1000)::bigint, type, subject,
         aggregate_version, data, traceparent
  FROM outbox
  WHERE seq > $5::bigint AND seq <> ALL($2::bigint[]) AND type <> ALL($3::text[])
  ORDER BY seq
  LIMIT $4
)sql";

constexpr const char* fill_name = "outbox.fill";
constexpr const char* fill_sql = R"sql(
  SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS counted),
         (SELECT (extract(epoch FROM clock_timestamp() - created_at) * 1000)::bigint
          FROM outbox ORDER BY seq LIMIT 1)
)sql";

std::string number_array(const std::vector<std::int64_t>& numbers,
                         const std::vector<std::int64_t>& more = {}) {
  std::string text = "{";
  for (const auto* part : {&numbers, &more}) {
    for (const std::int64_t number : *part) {
      if (text.size() > 1) text += ',';
      text += std::to_string(number);
    }
  }
  return text + "}";
}

// Event types are words and dots, but whatever stands in the table must not break the literal.
std::string text_array(const std::vector<std::string>& values) {
  std::string text = "{";
  for (const std::string& value : values) {
    if (text.size() > 1) text += ',';
    text += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + "}";
}

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string_view field(pg_result* result, int row, int column) {
  return {PQgetvalue(result, row, column),
          static_cast<std::size_t>(PQgetlength(result, row, column))};
}

}  // namespace

void OutboxTable::Finish::operator()(pg_conn* connection) const { PQfinish(connection); }
void OutboxTable::Finish::operator()(pg_result* result) const { PQclear(result); }

OutboxTable::OutboxTable(const Secret<>& dsn, const std::string& service) {
  const std::string name = service + " outbox relay";
  const std::array keywords{"dbname",
                            "application_name",
                            "connect_timeout",
                            "tcp_user_timeout",
                            "keepalives_idle",
                            "target_session_attrs",
                            static_cast<const char*>(nullptr)};
  const std::array values{dsn.reveal().c_str(),
                          name.c_str(),
                          "3",
                          "5000",
                          "5",
                          "read-write",
                          static_cast<const char*>(nullptr)};
  connection_.reset(PQconnectdbParams(keywords.data(), values.data(), 1));
  if (PQstatus(connection_.get()) != CONNECTION_OK) fail("connect");
  PQsetnonblocking(connection_.get(), 1);
  run(settings_sql, {});
  prepare(read_name, read_sql);
  prepare(fill_name, fill_sql);
}

OutboxTable::~OutboxTable() = default;

bool OutboxTable::try_lock() {
  const Answer answer = run(try_lock_sql, {});
  const bool locked = field(answer.get(), 0, 0) == "t";
  if (locked) run(listen_sql, {});
  return locked;
}

void OutboxTable::notify() { run(notify_sql, {}); }

bool OutboxTable::take_notification() {
  if (PQconsumeInput(connection_.get()) == 0) fail("receive");
  bool any = false;
  while (PGnotify* notification = PQnotifies(connection_.get())) {
    PQfreemem(notification);
    any = true;
  }
  return any;
}

int OutboxTable::fd() const { return PQsocket(connection_.get()); }

std::vector<OutboxRow> OutboxTable::forget_and_read(const Wanted& wanted) {
  const Answer answer = run_prepared(
      read_name,
      {number_array(wanted.forget), number_array(wanted.in_flight, wanted.forget),
       text_array(wanted.held), std::to_string(wanted.count_max), std::to_string(wanted.above)});
  std::vector<OutboxRow> rows;
  pg_result* result = answer.get();
  rows.reserve(static_cast<std::size_t>(PQntuples(result)));
  for (int i = 0; i < PQntuples(result); ++i) {
    const auto id = Uuid::parse(field(result, i, 1));
    if (!id) throw OutboxUnavailable{"the outbox holds an id that is none"};
    rows.push_back({.seq = number(field(result, i, 0)),
                    .id = *id,
                    .written = Instant{std::chrono::milliseconds{number(field(result, i, 2))}},
                    .type = std::string{field(result, i, 3)},
                    .subject = std::string{field(result, i, 4)},
                    .aggregate_version = number(field(result, i, 5)),
                    .data = std::string{field(result, i, 6)},
                    .traceparent = std::string{field(result, i, 7)}});
  }
  return rows;
}

void OutboxTable::forget(const std::vector<OutboxRow>& rows) {
  Wanted wanted;
  for (const OutboxRow& row : rows) wanted.forget.push_back(row.seq);
  forget_and_read(wanted);
}

OutboxFill OutboxTable::fill(std::int64_t rows_max) {
  const Answer answer = run_prepared(fill_name, {std::to_string(rows_max)});
  const OutboxFill fill{.rows = number(field(answer.get(), 0, 0)),
                        .oldest_age = std::chrono::milliseconds{number(field(answer.get(), 0, 1))}};
  return fill;
}

namespace {

std::vector<const char*> pointers(const std::vector<std::string>& params) {
  std::vector<const char*> out;
  out.reserve(params.size());
  for (const std::string& param : params) out.push_back(param.c_str());
  return out;
}

}  // namespace

OutboxTable::Answer OutboxTable::run(const char* sql, const std::vector<std::string>& params) {
  const auto values = pointers(params);
  if (PQsendQueryParams(connection_.get(), sql, static_cast<int>(values.size()), nullptr,
                        values.data(), nullptr, nullptr, 0) == 0) {
    fail(sql);
  }
  return finish(sql);
}

OutboxTable::Answer OutboxTable::run_prepared(const char* name,
                                              const std::vector<std::string>& params) {
  const auto values = pointers(params);
  if (PQsendQueryPrepared(connection_.get(), name, static_cast<int>(values.size()), values.data(),
                          nullptr, nullptr, 0) == 0) {
    fail(name);
  }
  return finish(name);
}

void OutboxTable::prepare(const char* name, const char* sql) {
  if (PQsendPrepare(connection_.get(), name, sql, 0, nullptr) == 0) fail(name);
  finish(name);
}

// libpq's own blocking calls would wait for ever on a server that is frozen.
OutboxTable::Answer OutboxTable::finish(const char* doing) {
  const auto deadline = std::chrono::steady_clock::now() + answer_timeout;
  flush(deadline);
  Answer last;
  for (;;) {
    while (PQisBusy(connection_.get()) != 0) {
      await(POLLIN, deadline);
      if (PQconsumeInput(connection_.get()) == 0) fail(doing);
    }
    Answer next{PQgetResult(connection_.get())};
    if (!next) break;
    last = std::move(next);
  }
  const auto status = PQresultStatus(last.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) fail(doing);
  return last;
}

void OutboxTable::flush(std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const int left = PQflush(connection_.get());
    if (left == 0) return;
    if (left < 0) fail("send");
    await(POLLIN | POLLOUT, deadline);
    if (PQconsumeInput(connection_.get()) == 0) fail("send");
  }
}

void OutboxTable::await(short events, std::chrono::steady_clock::time_point deadline) const {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  if (left.count() <= 0) throw OutboxUnavailable{"outbox: the database does not answer"};
  pollfd watched{.fd = fd(), .events = events, .revents = 0};
  ::poll(&watched, 1, static_cast<int>(left.count()));
}

void OutboxTable::fail(const std::string& doing) {
  throw OutboxUnavailable{"outbox " + doing + ": " + PQerrorMessage(connection_.get())};
}

}  // namespace stoa::messaging::detail
