#include "tools/payment-simulator/tests/simulator_process.hpp"

#include <chrono>
#include <csignal>
#include <stdexcept>
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

namespace stoa::simulator {
namespace {

using namespace std::chrono_literals;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// The C interface of sockets wants the generic type.
const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);  // NOLINT(*-reinterpret-cast)
}

[[noreturn]] void become_simulator(const std::vector<std::string>& settings) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int silence = ::open("/dev/null", O_WRONLY);
  ::dup2(silence, STDOUT_FILENO);
  ::dup2(silence, STDERR_FILENO);
  std::string program = STOA_PAYMENT_SIMULATOR;
  std::string command = "serve";
  std::vector<char*> arguments{program.data(), command.data(), nullptr};
  std::vector<std::string> copies = settings;
  std::vector<char*> environment;
  for (std::string& setting : copies) environment.push_back(setting.data());
  environment.push_back(nullptr);
  ::execve(program.c_str(), arguments.data(), environment.data());
  ::_exit(127);
}

}  // namespace

SimulatorProcess::SimulatorProcess(std::string webhook_url) : webhook_url_{std::move(webhook_url)} {
  std::string name = (std::filesystem::temp_directory_path() / "simulator-XXXXXX").string();
  folder_ = ::mkdtemp(name.data());
  start();
}

SimulatorProcess::~SimulatorProcess() {
  kill();
  std::filesystem::remove_all(folder_);
}

std::string SimulatorProcess::address() const { return "127.0.0.1:" + std::to_string(ports_[0]); }

void SimulatorProcess::start() {
  std::vector<std::string> settings{"STOA_ADDRESS=127.0.0.1",
                                    "STOA_ADMIN_ADDRESS=127.0.0.1",
                                    "STOA_PORT=" + std::to_string(ports_[0]),
                                    "STOA_ADMIN_PORT=" + std::to_string(ports_[1]),
                                    "STOA_PROVIDER_KEY=" + std::string{key},
                                    "STOA_JOURNAL=" + (folder_ / "journal").string(),
                                    "STOA_STALL_MS=2000",
                                    "STOA_SLOW_MS=100",
                                    "STOA_WEBHOOK_LATE_MS=200"};
  if (!webhook_url_.empty()) {
    settings.push_back("STOA_WEBHOOK_URL=" + webhook_url_);
    settings.push_back("STOA_PROVIDER_WEBHOOK_SECRET=" + std::string{webhook_secret});
  }
  process_ = ::fork();
  if (process_ == 0) become_simulator(settings);
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (!accepts()) {
    if (std::chrono::steady_clock::now() > until) throw std::runtime_error{"no simulator"};
    std::this_thread::sleep_for(5ms);
  }
}

void SimulatorProcess::kill() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

void SimulatorProcess::freeze() const { ::kill(process_, SIGSTOP); }

void SimulatorProcess::thaw() const { ::kill(process_, SIGCONT); }

bool SimulatorProcess::accepts() const {
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(ports_[0]);
  const bool connected = ::connect(client, generic(address), sizeof address) == 0;
  ::close(client);
  return connected;
}

}  // namespace stoa::simulator
