#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <format>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "servicekit/testing/free_port.hpp"

namespace stoa::testing_support {

/// A Redis of its own on a free loopback port, nothing kept on disk. It dies with the test, also
/// when the test crashes.
class PrivateRedis {
 public:
  /// PEM files of a server that also speaks TLS.
  struct Tls {
    std::string certificate{};
    std::string key{};
  };

  /// Returns when the server answers. Throws std::runtime_error when it cannot be started.
  explicit PrivateRedis(std::string password = "") : PrivateRedis{std::move(password), Tls{}} {}
  PrivateRedis(std::string password, Tls tls)
      : password_{std::move(password)}, tls_{std::move(tls)} {
    std::string folder = (std::filesystem::temp_directory_path() / "stoa-redis-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error{"no temporary folder"};
    folder_ = folder;
    const auto [port, tls_port] = free_ports<2>();
    port_ = port;
    if (!tls_.certificate.empty()) tls_port_ = tls_port;
    start();
  }
  PrivateRedis(const PrivateRedis&) = delete;
  PrivateRedis& operator=(const PrivateRedis&) = delete;
  ~PrivateRedis() {
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::uint16_t port() const { return port_; }
  std::string address() const { return std::format("127.0.0.1:{}", port_); }
  std::uint16_t tls_port() const { return tls_port_; }

  /// Starts it (again) on the same port, empty.
  void start() {
    if (process_ > 0) return;
    std::vector<std::string> words = arguments();
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t parent = getpid();
    process_ = fork();
    if (process_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);
      const int null = open("/dev/null", O_RDWR);
      dup2(null, STDOUT_FILENO);
      dup2(null, STDERR_FILENO);
      execvp("redis-server", argv.data());
      _exit(127);
    }
    wait_until_it_answers();
  }

  /// kill -9.
  void kill() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::kill(process_, SIGCONT);
    waitpid(process_, nullptr, 0);
    process_ = -1;
  }

  /// SIGSTOP: connections stay open and nothing answers.
  void freeze() const { ::kill(process_, SIGSTOP); }
  void resume() const { ::kill(process_, SIGCONT); }

  /// One command of plain words over a connection of its own; the first line of the reply, or the
  /// text of a bulk reply. Throws std::runtime_error when there is no answer within a second.
  std::string command(std::string_view words) const {
    const int socket = connect_to(port_);
    if (socket < 0) throw std::runtime_error{"redis-server does not accept"};
    std::string text;
    if (!password_.empty()) text = std::format("AUTH {}\r\n", password_);
    text += std::format("{}\r\n", words);
    if (::send(socket, text.data(), text.size(), MSG_NOSIGNAL) < 0) {
      close(socket);
      throw std::runtime_error{"redis-server closed the connection"};
    }
    std::string reply = read_line(socket);
    if (!password_.empty()) reply = read_line(socket);
    if (reply.starts_with('$') && reply != "$-1") reply = read_line(socket);
    close(socket);
    return reply;
  }

 private:
  std::vector<std::string> arguments() const {
    std::vector<std::string> words{"redis-server",
                                   "--port",
                                   std::to_string(port_),
                                   "--bind",
                                   "127.0.0.1",
                                   "--save",
                                   "",
                                   "--appendonly",
                                   "no",
                                   "--dir",
                                   folder_,
                                   "--requirepass",
                                   password_};
    if (tls_port_ != 0) {
      words.insert(words.end(),
                   {"--tls-port", std::to_string(tls_port_), "--tls-cert-file", tls_.certificate,
                    "--tls-key-file", tls_.key, "--tls-auth-clients", "no"});
    }
    return words;
  }

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  static int connect_to(std::uint16_t port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const sockaddr_in address = loopback(port);
    if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      return socket;
    }
    close(socket);
    return -1;
  }

  static std::string read_line(int socket) {
    std::string line;
    char byte = 0;
    while (recv(socket, &byte, 1, 0) == 1) {
      if (byte == '\n' && line.ends_with('\r')) {
        line.pop_back();
        return line;
      }
      line += byte;
    }
    throw std::runtime_error{"redis-server did not answer in time"};
  }

  void wait_until_it_answers() {
    constexpr std::chrono::seconds patience{10};
    const auto until = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < until) {
      int status = 0;
      if (waitpid(process_, &status, WNOHANG) == process_) {
        process_ = -1;
        throw std::runtime_error{"redis-server ended at once; is it installed?"};
      }
      const int socket = connect_to(port_);
      if (socket >= 0) {
        close(socket);
        if (command("PING") == "+PONG") return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    throw std::runtime_error{"redis-server does not answer"};
  }

  std::string password_;
  Tls tls_;
  std::filesystem::path folder_;
  std::uint16_t port_ = 0;
  std::uint16_t tls_port_ = 0;
  pid_t process_ = -1;
};

}  // namespace stoa::testing_support
