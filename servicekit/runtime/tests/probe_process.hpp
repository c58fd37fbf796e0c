#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace stoa::runtime {

/// The program probe_service, or another binary, as a real process with an environment of its own.
/// It is killed at the end of the test.
class ProbeProcess {
 public:
  static constexpr std::chrono::seconds patience{15};

  explicit ProbeProcess(const std::map<std::string, std::string>& settings,
                        std::vector<std::string> arguments = {},
                        std::string binary = "probe_service");
  ProbeProcess(const ProbeProcess&) = delete;
  ProbeProcess& operator=(const ProbeProcess&) = delete;
  ~ProbeProcess();

  /// Waits until it has logged `text`; what it has written then, or "" when it did not in time.
  std::string wait_for_output(std::string_view text) const;
  std::string output() const;

  /// Of the line "ready".
  std::uint16_t port() const;
  std::uint16_t admin_port() const;

  void signal(int number) const;
  /// Its exit code, or minus the signal that ended it; -1000 when it runs on.
  int exit_code();

 private:
  std::uint16_t number_after(std::string_view name) const;

  std::filesystem::path output_;
  pid_t pid_ = -1;
};

}  // namespace stoa::runtime
