#include "servicekit/testing/private_rabbitmq.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>
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
namespace {

constexpr std::chrono::seconds start_patience{60};
constexpr std::chrono::milliseconds look_again{10};
constexpr std::array<std::string_view, 5> services{
    "user-service", "product-service", "order-service", "payment-service", "notification-service"};
constexpr std::string_view topology_tool = "tools/topology/topology";
constexpr std::string_view broker_tool = "tools/topology/slim-broker";

// Tests run in the checkout or in a folder below it.
std::filesystem::path checkout() {
  for (auto folder = std::filesystem::current_path();; folder = folder.parent_path()) {
    if (std::filesystem::exists(folder / broker_tool)) return folder;
    if (folder == folder.root_path()) throw std::runtime_error{"run the tests in the checkout"};
  }
}

class Socket {
 public:
  Socket() : fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {}
  ~Socket() { ::close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

pid_t launch(const std::vector<std::string>& command, const std::filesystem::path& log) {
  std::vector<char*> arguments;
  for (const std::string& part : command) {
    // execv() takes them without const and writes to none.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
    arguments.push_back(const_cast<char*>(part.c_str()));
  }
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child != 0) return child;
  // A group of its own: the VM has helpers, which a signal must reach too.
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

void run_to_end(const std::vector<std::string>& command, const std::filesystem::path& log) {
  const pid_t child = launch(command, log);
  int status = 0;
  if (::waitpid(child, &status, 0) != child || status != 0) {
    throw std::runtime_error{command.front() + " failed, see " + log.string()};
  }
}

}  // namespace

PrivateRabbitmq& PrivateRabbitmq::shared() {
  static PrivateRabbitmq broker;
  return broker;
}

PrivateRabbitmq::PrivateRabbitmq() {
  std::string folder = (std::filesystem::temp_directory_path() / "stoa-rabbitmq-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) {
    throw std::system_error{errno, std::generic_category(), "no temporary folder"};
  }
  directory_ = folder;
  write_secrets();
  write_certificate();
  run_to_end(
      {(checkout() / topology_tool).string(), "definitions", "--secrets",
       (directory_ / "secrets").string(), "--output", (directory_ / "definitions.json").string()},
      directory_ / "topology.log");
  const auto [port, distribution_port, tls_port] = free_ports<3>();
  port_ = port;
  distribution_port_ = distribution_port;
  tls_port_ = tls_port;
  start();
}

PrivateRabbitmq::~PrivateRabbitmq() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

Secret<> PrivateRabbitmq::password(std::string_view user) {
  return Secret<>{"test password of " + std::string{user}};
}

void PrivateRabbitmq::write_secrets() const {
  const auto folder = directory_ / "secrets";
  for (const std::string_view service : services) {
    std::filesystem::create_directories(folder / service);
    std::ofstream{folder / service / "broker-password"} << password(service).reveal();
  }
  std::ofstream{folder / "broker-admin-password"} << password("operator").reveal();
}

// A certificate that signs itself is its own CA.
void PrivateRabbitmq::write_certificate() const {
  const auto folder = directory_ / "tls";
  std::filesystem::create_directories(folder);
  run_to_end({"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
              "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
              "-addext", "subjectAltName=DNS:localhost", "-keyout", (folder / "key.pem").string(),
              "-out", (folder / "cert.pem").string()},
             directory_ / "tls.log");
  std::filesystem::copy_file(folder / "cert.pem", folder / "ca.pem");
}

void PrivateRabbitmq::start() {
  if (broker_ > 0) return;
  broker_ = launch(
      {(checkout() / broker_tool).string(), (directory_ / "node").string(), std::to_string(port_),
       std::to_string(distribution_port_), (directory_ / "definitions.json").string(), "",
       std::to_string(tls_port_), (directory_ / "tls").string()},
      directory_ / "broker.log");
  await_ready();
}

void PrivateRabbitmq::await_ready() const {
  const auto deadline = std::chrono::steady_clock::now() + start_patience;
  while (!answers()) {
    if (::waitpid(broker_, nullptr, WNOHANG) == broker_) {
      throw std::runtime_error{"RabbitMQ ended: " + log_tail()};
    }
    if (std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error{"RabbitMQ does not answer: " + log_tail()};
    }
    std::this_thread::sleep_for(look_again);
  }
}

// The listeners open last, so an answer to the protocol header means ready.
bool PrivateRabbitmq::answers() const {
  const Socket socket;
  const timeval patience{.tv_sec = 2, .tv_usec = 0};
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const sockaddr_in address = loopback(port_);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return false;
  }
  constexpr std::string_view header{"AMQP\0\0\x09\x01", 8};
  if (::send(socket.fd(), header.data(), header.size(), MSG_NOSIGNAL) < 0) return false;
  char first = 0;
  return ::recv(socket.fd(), &first, 1, 0) == 1 && first == 1;
}

std::string PrivateRabbitmq::log_tail() const {
  constexpr std::size_t shown = 2'000;
  std::ostringstream text;
  text << std::ifstream{directory_ / "broker.log"}.rdbuf();
  const std::string log = text.str();
  return log.substr(log.size() - std::min(log.size(), shown));
}

void PrivateRabbitmq::kill() {
  if (broker_ <= 0) return;
  ::kill(-broker_, SIGKILL);
  ::waitpid(broker_, nullptr, 0);
  broker_ = -1;
}

void PrivateRabbitmq::stop() {
  if (broker_ <= 0) return;
  ::kill(broker_, SIGTERM);
  ::waitpid(broker_, nullptr, 0);
  ::kill(-broker_, SIGKILL);
  broker_ = -1;
}

void PrivateRabbitmq::freeze() const { ::kill(-broker_, SIGSTOP); }
void PrivateRabbitmq::thaw() const { ::kill(-broker_, SIGCONT); }

}  // namespace stoa::testing_support
