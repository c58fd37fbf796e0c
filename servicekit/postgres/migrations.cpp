#include "servicekit/postgres/migrations.hpp"

#include <array>
#include <chrono>
#include <format>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <libpq-fe.h>
#include <openssl/evp.h>

#include "servicekit/core/encoding.hpp"

namespace stoa::kit_schema {
std::span<const postgres::Migration> migrations();  // written by cmake/embed_migrations.py
}

namespace stoa::postgres {
namespace {

// One lock for all migrators of a database; the second waits for the first.
constexpr std::int64_t advisory_lock_key = 0x73746f61;  // "stoa"
constexpr int advisory_lock_timeout_ms = 120'000;
// A step that cannot have its table soon gives up rather than queue every reader behind it.
constexpr int step_lock_timeout_ms = 5'000;
constexpr std::chrono::seconds connect_for{15};
constexpr std::chrono::milliseconds connect_again_after{200};

struct FinishConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Connection = std::unique_ptr<PGconn, FinishConnection>;
using Answer = std::unique_ptr<PGresult, ClearResult>;

std::string trimmed(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

// Of several servers the one that takes writes, and none is waited for when it says nothing. What
// the DSN says itself stands behind, and so wins.
Connection dial(const Secret<>& dsn) {
  const std::array keywords{"target_session_attrs", "connect_timeout", "dbname",
                            static_cast<const char*>(nullptr)};
  const std::array values{"read-write", "3", dsn.reveal().c_str(),
                          static_cast<const char*>(nullptr)};
  return Connection{PQconnectdbParams(keywords.data(), values.data(), 1)};
}

// At first start the server may come up later than we do.
Connection connect(const Secret<>& dsn, std::chrono::milliseconds patience) {
  const auto give_up_at = std::chrono::steady_clock::now() + patience;
  for (;;) {
    Connection connection = dial(dsn);
    if (PQstatus(connection.get()) == CONNECTION_OK) {
      PQsetNoticeReceiver(connection.get(), [](void*, const PGresult*) {}, nullptr);
      return connection;
    }
    if (std::chrono::steady_clock::now() >= give_up_at) {
      throw std::runtime_error{trimmed(PQerrorMessage(connection.get()))};
    }
    std::this_thread::sleep_for(connect_again_after);
  }
}

Answer checked(const Connection& connection, PGresult* result, std::string_view step) {
  Answer answer{result};
  const auto status = PQresultStatus(result);
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    throw std::runtime_error{
        std::format("{}: {}", step, trimmed(PQerrorMessage(connection.get())))};
  }
  return answer;
}

Answer run(const Connection& connection, const std::string& sql, std::string_view step) {
  return checked(connection, PQexec(connection.get(), sql.c_str()), step);
}

Answer run(const Connection& connection, const char* sql, const std::vector<std::string>& values,
           std::string_view step) {
  std::vector<const char*> pointers;
  pointers.reserve(values.size());
  for (const std::string& value : values) pointers.push_back(value.c_str());
  return checked(connection,
                 PQexecParams(connection.get(), sql, static_cast<int>(pointers.size()), nullptr,
                              pointers.data(), nullptr, nullptr, 0),
                 step);
}

std::string checksum(std::string_view sql) {
  std::array<std::uint8_t, 32> digest{};
  if (EVP_Digest(sql.data(), sql.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error{"SHA-256 is not available"};
  }
  return hex(digest);
}

// The service's own role may read what the schema is at, and nobody but the migrator writes it.
constexpr const char* record_table = R"sql(
  CREATE TABLE IF NOT EXISTS schema_migrations (
    set_name text NOT NULL,
    number int NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (set_name, number)
  );
  DO $$
  DECLARE
    service text := regexp_replace(current_user, '-migrate$', '');
    reader text;
  BEGIN
    FOREACH reader IN ARRAY ARRAY[service, 'audit'] LOOP
      IF reader <> current_user AND EXISTS (SELECT FROM pg_roles WHERE rolname = reader) THEN
        EXECUTE format('REVOKE ALL ON schema_migrations FROM %I', reader);
        EXECUTE format('GRANT SELECT ON schema_migrations TO %I', reader);
      END IF;
    END LOOP;
  END
  $$;
)sql";

bool recorded(const Connection& connection, const std::string& set, const Migration& migration,
              const std::string& sum) {
  const auto row = run(connection,
                       "SELECT name, sha256 FROM schema_migrations"
                       " WHERE set_name = $1 AND number = $2::int",
                       {set, std::to_string(migration.number)}, "reading schema_migrations");
  if (PQntuples(row.get()) == 0) return false;
  if (PQgetvalue(row.get(), 0, 1) != sum) {
    throw std::runtime_error{std::format(
        "migration {} {} ({}) was changed after it was applied; write a new one instead", set,
        migration.number, migration.name)};
  }
  return true;
}

void apply(const Connection& connection, const std::string& set, const Migration& migration) {
  const std::string sum = checksum(migration.sql);
  if (recorded(connection, set, migration, sum)) return;
  const auto step = std::format("migration {} {} ({})", set, migration.number, migration.name);
  run(connection, "BEGIN", step);
  run(connection, std::string{migration.sql}, step);
  run(connection,
      "INSERT INTO schema_migrations (set_name, number, name, sha256)"
      " VALUES ($1, $2::int, $3, $4)",
      {set, std::to_string(migration.number), std::string{migration.name}, sum}, step);
  const auto committed = run(connection, "COMMIT", step);
  if (std::string_view{PQcmdStatus(committed.get())} != "COMMIT") {
    throw std::runtime_error{step + ": was rolled back"};
  }
}

}  // namespace

void migrate(const Secret<>& dsn, std::span<const Migration> migrations) {
  const auto connection = connect(dsn, connect_for);
  run(connection, std::format("SET lock_timeout = {}", advisory_lock_timeout_ms), "set-up");
  run(connection, std::format("SELECT pg_advisory_lock({})", advisory_lock_key),
      "waiting for another migrator");
  run(connection, std::format("SET lock_timeout = {}", step_lock_timeout_ms), "set-up");
  run(connection, record_table, "creating schema_migrations");
  for (const Migration& migration : kit_schema::migrations()) {
    apply(connection, "servicekit", migration);
  }
  for (const Migration& migration : migrations) apply(connection, "service", migration);
}

int schema_version(const Secret<>& dsn) {
  const auto connection = connect(dsn, std::chrono::milliseconds{0});
  const auto known =
      run(connection, "SELECT to_regclass('schema_migrations') IS NOT NULL", "asking the schema");
  if (std::string_view{PQgetvalue(known.get(), 0, 0)} != "t") return 0;
  const auto version = run(connection,
                           "SELECT coalesce(max(number) FILTER (WHERE set_name = 'service'), 0),"
                           " coalesce(max(number) FILTER (WHERE set_name = 'servicekit'), 0)"
                           " FROM schema_migrations",
                           "asking the schema");
  const bool kit_is_whole =
      std::stoi(PQgetvalue(version.get(), 0, 1)) >= kit_schema::migrations().back().number;
  return kit_is_whole ? std::stoi(PQgetvalue(version.get(), 0, 0)) : 0;
}

}  // namespace stoa::postgres
