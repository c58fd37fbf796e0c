#include "servicekit/testing/private_postgres.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <format>
#include <fstream>
#include <future>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <fcntl.h>
#include <libpq-fe.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "servicekit/testing/free_port.hpp"

namespace stoa::testing_support {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view binaries = "/usr/lib/postgresql/17/bin";
constexpr std::chrono::seconds patience{30};
constexpr std::chrono::milliseconds poll_every{5};

template <class Condition>
void wait_until(Condition condition, std::string_view what) {
  const auto give_up_at = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= give_up_at) {
      throw std::runtime_error{std::format("private PostgreSQL: {}", what)};
    }
    std::this_thread::sleep_for(poll_every);
  }
}

// `log` takes what the child says. Ends with its parent, whatever ends that.
pid_t fork_process(const std::vector<std::string>& command, const fs::path& log) {
  std::vector<char*> arguments;
  for (const std::string& word : command) {
    // execv() takes them without const and writes to none.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error{"fork failed"};
  if (child > 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  execv(arguments[0], arguments.data());
  _exit(127);
}

// The death signal follows the thread that forked, not its process: one thread that lives as long
// as the process forks for all of them.
pid_t spawn_process(const std::vector<std::string>& command, const fs::path& log) {
  static boost::asio::thread_pool forker{1};
  std::promise<pid_t> child;
  boost::asio::post(forker, [&] { child.set_value(fork_process(command, log)); });
  return child.get_future().get();
}

// Through a stream, not by iterators: a file of /proc fails in the middle when its process ends,
// and a stream reports that where an iterator throws it.
std::string contents(const fs::path& path) {
  const std::ifstream file{path};
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// initdb takes half a second, a copy 50 ms: made once per user and machine.
fs::path template_data() {
  const fs::path base = fs::temp_directory_path() / std::format("stoa-postgres-17-{}", getuid());
  fs::create_directories(base);
  const fs::path ready = base / "ready";
  const int lock = open((base / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  flock(lock, LOCK_EX);
  if (!fs::exists(ready)) {
    fs::remove_all(base / "data");
    const pid_t child =
        spawn_process({std::format("{}/initdb", binaries), "-D", (base / "data").string(), "-U",
                       "postgres", "-A", "trust", "-E", "UTF8", "--locale-provider=builtin",
                       "--builtin-locale=C.UTF-8", "--locale=C", "--no-sync", "--no-instructions"},
                      base / "log");
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) throw std::runtime_error{"initdb failed: " + contents(base / "log")};
    std::ofstream{ready} << "1\n";
  }
  close(lock);
  return base / "data";
}

void add_descendants(pid_t parent, std::vector<pid_t>& into) {
  into.push_back(parent);
  std::ifstream children{std::format("/proc/{}/task/{}/children", parent, parent)};
  for (pid_t child = 0; children >> child;) add_descendants(child, into);
}

}  // namespace

PrivatePostgres& PrivatePostgres::shared() {
  static PrivatePostgres server;
  return server;
}

PrivatePostgres::PrivatePostgres() {
  std::string pattern = (fs::temp_directory_path() / "stoa-postgres-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"mkdtemp failed"};
  directory_ = pattern;
  fs::copy(template_data(), directory_ / "data", fs::copy_options::recursive);
  fs::permissions(directory_ / "data", fs::perms::owner_all);
  port_ = free_port();
  start();
}

PrivatePostgres::~PrivatePostgres() {
  kill();
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

void PrivatePostgres::start() {
  // synchronous_commit stays on: without fsync it costs a write, and a kill -9 then loses nothing
  // that was answered.
  server_ = spawn_process({std::format("{}/postgres", binaries),
                           "-D",
                           (directory_ / "data").string(),
                           "-p",
                           std::to_string(port_),
                           "-k",
                           directory_.string(),
                           "-c",
                           "listen_addresses=127.0.0.1",
                           "-c",
                           "fsync=off",
                           "-c",
                           "full_page_writes=off",
                           "-c",
                           "shared_buffers=32MB",
                           "-c",
                           "max_connections=100",
                           "-c",
                           "wal_level=minimal",
                           "-c",
                           "max_wal_senders=0",
                           "-c",
                           "log_min_messages=fatal"},
                          directory_ / "log");
  wait_until(
      [this] {
        if (waitpid(server_, nullptr, WNOHANG) == server_) {
          // The memory of a server just killed may still be held by its last process.
          std::this_thread::sleep_for(poll_every);
          return start(), true;
        }
        return answers();
      },
      "did not start");
}

bool PrivatePostgres::answers() const {
  return PQping(
             std::format("host=127.0.0.1 port={} user=postgres dbname=postgres", port_).c_str()) ==
         PQPING_OK;
}

std::vector<pid_t> PrivatePostgres::processes() const {
  std::vector<pid_t> all;
  if (server_ > 0) add_descendants(server_, all);
  return all;
}

void PrivatePostgres::signal_all(int number) const {
  for (const pid_t process : processes()) ::kill(process, number);
}

void PrivatePostgres::kill() {
  if (server_ <= 0) return;
  const auto all = processes();
  for (const pid_t process : all) ::kill(process, SIGKILL);
  waitpid(std::exchange(server_, -1), nullptr, 0);
  wait_until(
      [&] {
        for (const pid_t process : all) {
          if (::kill(process, 0) == 0 &&
              contents(std::format("/proc/{}/stat", process)).find(") Z") == std::string::npos) {
            return false;
          }
        }
        return true;
      },
      "did not die");
}

void PrivatePostgres::stop() {
  if (server_ <= 0) return;
  ::kill(server_, SIGINT);
  waitpid(std::exchange(server_, -1), nullptr, 0);
}

void PrivatePostgres::freeze() {
  // The postmaster first: one that still ran could start a process that nobody stops.
  ::kill(server_, SIGSTOP);
  wait_until(
      [this] {
        return contents(std::format("/proc/{}/stat", server_)).find(") T") != std::string::npos;
      },
      "did not stop");
  signal_all(SIGSTOP);
}

void PrivatePostgres::thaw() { signal_all(SIGCONT); }

Secret<> PrivatePostgres::dsn(const std::string& name) const {
  return Secret<>{std::format("host=127.0.0.1 port={} user=postgres dbname={}", port_, name)};
}

Secret<> PrivatePostgres::database() {
  const auto name = std::format("test_{}", ++databases_);
  sql(dsn("postgres"), std::format("CREATE DATABASE {} STRATEGY file_copy", name));
  return dsn(name);
}

Secret<> PrivatePostgres::database(std::span<const postgres::Migration> migrations) {
  for (const auto& [known, prepared] : templates_) {
    if (known != migrations.data()) continue;
    const auto name = std::format("test_{}", ++databases_);
    sql(dsn("postgres"),
        std::format("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, prepared));
    return dsn(name);
  }
  const auto prepared = std::format("template_{}", templates_.size());
  sql(dsn("postgres"), std::format("CREATE DATABASE {} STRATEGY file_copy", prepared));
  postgres::migrate(dsn(prepared), migrations);
  templates_.emplace_back(migrations.data(), prepared);
  return database(migrations);
}

std::string PrivatePostgres::sql(const Secret<>& dsn, const std::string& statements) {
  const std::unique_ptr<PGconn, decltype(&PQfinish)> connection{PQconnectdb(dsn.reveal().c_str()),
                                                                &PQfinish};
  const std::unique_ptr<PGresult, decltype(&PQclear)> result{
      PQexec(connection.get(), statements.c_str()), &PQclear};
  const auto status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    throw std::runtime_error{PQerrorMessage(connection.get())};
  }
  if (PQntuples(result.get()) == 0 || PQnfields(result.get()) == 0) return "";
  return PQgetvalue(result.get(), 0, 0);
}

}  // namespace stoa::testing_support
