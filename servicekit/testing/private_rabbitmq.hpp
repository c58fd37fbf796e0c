#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "servicekit/core/secret.hpp"

namespace stoa::testing_support {

/// A RabbitMQ of this test binary alone, with the whole topology of contracts/events/topology.yaml
/// and its users loaded: free port, data in the temporary folder, killed and removed at the end,
/// also when the test crashes. Takes about 1 s to start.
///
///   auto& rabbit = PrivateRabbitmq::shared();
///   messaging::BrokerConfig{.addresses = {rabbit.address()}, .user = "order-service",
///                           .password = rabbit.password("order-service")};
class PrivateRabbitmq {
 public:
  /// The broker that all tests of a binary share; started when first asked for.
  static PrivateRabbitmq& shared();

  PrivateRabbitmq();
  PrivateRabbitmq(const PrivateRabbitmq&) = delete;
  PrivateRabbitmq& operator=(const PrivateRabbitmq&) = delete;
  ~PrivateRabbitmq();

  std::uint16_t port() const { return port_; }
  /// The same broker over TLS, with a certificate for "localhost" signed by ca_path().
  std::string tls_address() const { return "localhost:" + std::to_string(tls_port_); }
  std::string ca_path() const { return (directory_ / "tls" / "ca.pem").string(); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  /// Of a service, or of "operator", who may do everything.
  static Secret<> password(std::string_view user);

  void start();  ///< after kill() or stop(): same port, data as it was, topology imported again
  void kill();   ///< SIGKILL
  void stop();   ///< SIGTERM: clients are told, data is flushed
  void freeze() const;  ///< SIGSTOP: accepts and says nothing
  void thaw() const;

 private:
  void write_secrets() const;
  void write_certificate() const;
  void await_ready() const;
  bool answers() const;
  std::string log_tail() const;

  std::filesystem::path directory_;
  std::uint16_t port_ = 0;
  std::uint16_t distribution_port_ = 0;
  std::uint16_t tls_port_ = 0;
  pid_t broker_ = -1;
};

}  // namespace stoa::testing_support
