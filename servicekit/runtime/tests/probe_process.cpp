#include "servicekit/runtime/tests/probe_process.hpp"

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <format>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace stoa::runtime {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds poll_period{2};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

template <class Condition>
bool eventually(Condition condition) {
  const auto until = Clock::now() + ProbeProcess::patience;
  while (!condition()) {
    if (Clock::now() > until) return false;
    std::this_thread::sleep_for(poll_period);
  }
  return true;
}

}  // namespace

ProbeProcess::ProbeProcess(const std::map<std::string, std::string>& settings,
                           std::vector<std::string> arguments, std::string binary) {
  std::string name = (std::filesystem::temp_directory_path() / "probe-output-XXXXXX").string();
  const int output = ::mkstemp(name.data());
  if (output < 0) throw std::runtime_error{"no temporary file"};
  output_ = name;
  const std::filesystem::path folder{PROBE_FOLDER};
  arguments.insert(arguments.begin(), folder / binary);  // an absolute name stays as it is
  std::vector<std::string> environment{"TZ=UTC"};
  for (const auto& [setting, value] : settings)
    environment.push_back(std::format("{}={}", setting, value));
  const auto argument_list = pointers(arguments);
  const auto environment_list = pointers(environment);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::execve(argument_list[0], argument_list.data(), environment_list.data());
    ::_exit(127);
  }
  ::close(output);
}

ProbeProcess::~ProbeProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::filesystem::remove(output_);
}

std::string ProbeProcess::output() const {
  std::ifstream file{output_};
  return {std::istreambuf_iterator<char>{file}, {}};
}

std::string ProbeProcess::wait_for_output(std::string_view text) const {
  return eventually([&] { return output().contains(text); }) ? output() : "";
}

std::uint16_t ProbeProcess::number_after(std::string_view name) const {
  const std::string text = wait_for_output(R"("event":"ready")");
  const std::size_t at = text.find(name);
  std::uint16_t number = 0;
  if (at != std::string::npos) {
    std::from_chars(text.data() + at + name.size(), text.data() + text.size(), number);
  }
  return number;
}

std::uint16_t ProbeProcess::port() const { return number_after(R"("port":)"); }
std::uint16_t ProbeProcess::admin_port() const { return number_after(R"("admin_port":)"); }

void ProbeProcess::signal(int number) const { ::kill(pid_, number); }

int ProbeProcess::exit_code() {
  int status = 0;
  if (!eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) return -1000;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace stoa::runtime
