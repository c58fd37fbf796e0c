#include "services/user-service/tests/running_service.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "servicekit/auth/auth.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/testing/private_postgres.hpp"
#include "servicekit/testing/raw_client.hpp"

#include "services/user-service/config.hpp"

namespace stoa::user {
namespace {

using testing_support::PrivatePostgres;

constexpr std::chrono::seconds patience{20};
constexpr std::array service_names{"notification-service", "order-service"};

// Made once: a key takes a tenth of a second.
const Secret<>& key_of(std::string_view service) {
  static const std::array keys{auth::generate_private_key(), auth::generate_private_key()};
  return keys[service == service_names[0] ? 0 : 1];
}

std::string service_jwks() {
  std::string set = "{\"keys\":[";
  for (const std::string service : service_names) {
    std::string jwk = auth::Signer{key_of(service)}.public_jwk();
    jwk.insert(jwk.size() - 1, std::format(R"(,"service":"{}")", service));
    if (set.back() != '[') set += ',';
    set += jwk;
  }
  return set + "]}";
}

pid_t spawn_program(const std::vector<std::string>& arguments,
                    const std::map<std::string, std::string>& environment) {
  std::vector<std::string> lines;
  for (const auto& [name, value] : environment) lines.push_back(std::format("{}={}", name, value));
  std::vector<char*> envp;
  for (std::string& line : lines) envp.push_back(line.data());
  envp.push_back(nullptr);
  std::vector<std::string> words{STOA_USER_SERVICE_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  pid_t process = -1;
  if (posix_spawn(&process, argv[0], nullptr, nullptr, argv.data(), envp.data()) != 0) {
    throw std::runtime_error{"cannot start user-service"};
  }
  return process;
}

int exit_code_of(pid_t process) {
  int status = 0;
  waitpid(process, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool is_ready(std::uint16_t admin_port) {
  try {
    const auto answer = testing_support::exchange(
        admin_port, "GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    return testing_support::status_of(answer) == 200;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

Installation::Installation()
    : dsn_{PrivatePostgres::shared().database(migrations())},
      jwks_path_{(std::filesystem::temp_directory_path() /
                  ("stoa-user-jwks-" + crypto::new_uuid().str() + ".json"))
                     .string()} {
  std::ofstream{jwks_path_} << service_jwks();
}

Installation::~Installation() { std::filesystem::remove(jwks_path_); }

std::string Installation::authorization_of(const std::string& service) const {
  return auth::ServiceTokens{service, key_of(service)}.authorization_for("user-service");
}

std::map<std::string, std::string> Installation::environment() const {
  return {{"STOA_DATABASE_DSN", dsn_.reveal()},
          {"STOA_KEY_ENCRYPTION_KEY", master_key},
          {"STOA_SERVICE_JWKS", jwks_path_},
          // Nobody listens: facts wait in the outbox, where the tests look.
          {"STOA_BROKER_ADDRESSES", "127.0.0.1:1"},
          {"STOA_BROKER_PASSWORD", "unused"},
          {"STOA_LOG_LEVEL", "error"},
          // What one loop knows must not be all there is.
          {"STOA_LOOPS", "2"}};
}

int Installation::command(std::vector<std::string> arguments) const {
  return exit_code_of(spawn_program(arguments, environment()));
}

std::string Installation::sql(const std::string& statements) const {
  return PrivatePostgres::sql(dsn_, statements);
}

RunningService::RunningService(const Installation& installation) {
  auto environment = installation.environment();
  environment["STOA_ADDRESS"] = "127.0.0.1";
  environment["STOA_PORT"] = std::to_string(ports_[0]);
  environment["STOA_ADMIN_ADDRESS"] = "127.0.0.1";
  environment["STOA_ADMIN_PORT"] = std::to_string(ports_[1]);
  process_ = spawn_program({"serve"}, environment);
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!is_ready(ports_[1])) {
    if (std::chrono::steady_clock::now() > until) {
      throw std::runtime_error{"user-service does not become ready"};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
}

RunningService::~RunningService() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  exit_code_of(process_);
}

int RunningService::stop() {
  ::kill(process_, SIGTERM);
  return exit_code_of(std::exchange(process_, -1));
}

std::string_view Answer::body() const { return testing_support::body_of(raw); }

std::string Answer::header(std::string_view name) const {
  return testing_support::header_of(raw, name);
}

std::string Answer::text(const std::string& member) const {
  const std::string_view all = body();
  const std::string quoted = "\"" + member + "\":\"";
  const auto at = all.find(quoted);
  if (at == std::string_view::npos) return "";
  const auto begin = at + quoted.size();
  return std::string{all.substr(begin, all.find('"', begin) - begin)};
}

Answer send(const RunningService& service, const Call& call) {
  std::string request =
      std::format("{} {} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n", call.method, call.path);
  request += call.authorization + call.headers;
  if (!call.body.empty()) {
    request += std::format("content-type: {}\r\ncontent-length: {}\r\n", call.content_type,
                           call.body.size());
  }
  request += "\r\n" + call.body;
  std::string raw = testing_support::exchange(service.port(), request);
  const int status = testing_support::status_of(raw);
  return {.status = status, .raw = std::move(raw)};
}

std::string bearer(const std::string& token) { return "authorization: Bearer " + token + "\r\n"; }

}  // namespace stoa::user
