#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "servicekit/async/task.hpp"

#include "tools/mail-sink/mailbox.hpp"

namespace stoa::mail {

struct SmtpLimits {
  std::size_t line_bytes_max = 4 * 1024;
  std::size_t message_bytes_max = 10 * 1024 * 1024;
  std::size_t recipients_max = 100;
  std::size_t sessions_max = 500;
  std::chrono::milliseconds idle_timeout{60'000};
};

/// SMTP as RFC 5321 asks of a receiver, with PIPELINING, 8BITMIME and SIZE; AUTH is accepted and
/// ignored. It takes everything for everybody and delivers nothing anywhere.
class SmtpServer {
 public:
  /// Listens at once. Throws boost::system::system_error when the address cannot be had.
  SmtpServer(boost::asio::io_context& loop, const std::string& address, std::uint16_t port,
             Mailbox& mailbox, SmtpLimits limits = {});
  ~SmtpServer();

  std::uint16_t port() const;

  /// No more sessions; those that run are cut off.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace stoa::mail
