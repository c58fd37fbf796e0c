#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>

#include <sys/types.h>

#include "servicekit/testing/free_port.hpp"

namespace stoa::simulator {

/// The real program as a process of a test: its own journal and port, killed and
/// removed at the end.
class SimulatorProcess {
 public:
  static constexpr std::string_view key = "test-provider-key";
  static constexpr std::string_view webhook_secret = "test-webhook-secret";

  /// `webhook_url` may be "": then nobody is told.
  explicit SimulatorProcess(std::string webhook_url = "");
  SimulatorProcess(const SimulatorProcess&) = delete;
  SimulatorProcess& operator=(const SimulatorProcess&) = delete;
  ~SimulatorProcess();

  std::string address() const;

  void start();         ///< returns when it accepts connections
  void kill();          ///< SIGKILL
  void freeze() const;  ///< SIGSTOP: connections are accepted by the kernel, nothing is answered
  void thaw() const;

 private:
  bool accepts() const;

  std::filesystem::path folder_;
  std::string webhook_url_;
  std::array<std::uint16_t, 2> ports_ = testing_support::free_ports<2>();
  pid_t process_ = -1;
};

}  // namespace stoa::simulator
