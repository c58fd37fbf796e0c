#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "servicekit/http/client.hpp"
#include "servicekit/http/detail/breaker.hpp"
#include "servicekit/http/detail/connection.hpp"
#include "servicekit/http/detail/waiting.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::http::detail {

/// One connection to a callee.
struct ClientConnection : ListHook {
  explicit ClientConnection(boost::asio::io_context& loop);

  Socket socket;
  Parser parser;
  std::string buffer;
  std::size_t parsed = 0;
  std::size_t have = 0;
  std::string out;
  Clock::time_point idle_since{};
  Clock::time_point use_until = Clock::time_point::max();
  bool reused = false;
  bool timed_out = false;
  Clock::time_point deadline = Clock::time_point::max();
};

/// One address of a callee on one loop: its connections, its breaker, what its name stands for.
class Origin {
 public:
  Origin(boost::asio::io_context& loop, const ClientConfig& config, const std::string& address);

  const std::string& address() const { return address_; }
  Breaker& breaker() { return breaker_; }
  std::size_t open() const { return open_; }

  /// An idle connection that is still good, newest first; none: null.
  std::unique_ptr<ClientConnection> take_idle();
  void put_idle(std::unique_ptr<ClientConnection> connection);
  bool may_open() const { return open_ < connections_max_; }
  void opened() { ++open_; }
  /// One connection less: whoever waits may open another.
  void closed();
  WaitList& waiting() { return waiting_; }

  /// The endpoints of the address, resolved on a thread of Asio's own when it is a name. Empty
  /// when that fails or takes past `deadline`.
  static Task<std::vector<Tcp::endpoint>> endpoints(std::shared_ptr<Origin> self,
                                                    Clock::time_point deadline);
  /// The endpoints did not answer: ask again.
  void forget_endpoints() { resolved_at_ = {}; }

 private:
  static Task<> resolve(std::shared_ptr<Origin> self);

  boost::asio::io_context& loop_;
  std::string address_;
  std::string host_;
  std::string service_;
  std::size_t connections_max_;
  Breaker breaker_;
  std::vector<std::unique_ptr<ClientConnection>> idle_;
  std::size_t open_ = 0;
  WaitList waiting_;
  bool literal_ = false;
  bool resolving_ = false;
  Clock::time_point resolved_at_{};
  std::vector<Tcp::endpoint> endpoints_;
  std::size_t turn_ = 0;
  WaitList waiting_for_name_;
};

}  // namespace stoa::http::detail
