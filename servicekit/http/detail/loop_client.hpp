#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "servicekit/http/client.hpp"
#include "servicekit/http/detail/origin.hpp"

namespace stoa::http::detail {

struct ClientMetrics {
  telemetry::Histogram duration;
  std::array<telemetry::Counter, 5> by_class;
  telemetry::Counter unavailable;
  telemetry::Counter retries;
  std::vector<telemetry::Gauge> breaker_open;  ///< by address
};

class LoopClient;

/// A connection while a call uses it. Given back when the call ended well, closed otherwise.
class Lease {
 public:
  Lease(std::shared_ptr<LoopClient> client, std::shared_ptr<Origin> origin,
        std::unique_ptr<ClientConnection> connection);
  Lease(Lease&&) noexcept = default;
  Lease& operator=(Lease&&) = delete;
  ~Lease();

  explicit operator bool() const { return connection_ != nullptr; }
  ClientConnection& operator*() const { return *connection_; }
  ClientConnection* operator->() const { return connection_.get(); }
  void give_back();

 private:
  std::shared_ptr<LoopClient> client_;
  std::shared_ptr<Origin> origin_;
  std::unique_ptr<ClientConnection> connection_;
};

/// What one try at one address came to. Either a response or a failure.
struct Attempt {
  std::optional<ClientResponse> response{};
  std::string failure{};
  bool is_ours = false;   ///< our own limit was met: no word about the callee
  bool refused = false;   ///< nobody listens at the address
  bool sent = false;      ///< a byte of the request may have arrived
  bool received = false;  ///< a byte of an answer has
  bool reused = false;    ///< the connection had served before
};

/// The client's half that lives on one loop. Kept alive by its calls.
class LoopClient : public std::enable_shared_from_this<LoopClient> {
 public:
  LoopClient(boost::asio::io_context& loop, const ClientConfig& config, ClientMetrics metrics);

  struct Call {
    Context context;
    ClientRequest request;
    bool may_stream;
    Clock::time_point deadline;
  };
  /// Throws Unavailable.
  static Task<ClientResponse> send(std::shared_ptr<LoopClient> self, Call call);

  const ClientConfig& config() const { return config_; }
  boost::asio::io_context& loop() { return loop_; }
  /// From now on the sweep ends the connection's waits at its deadline.
  void watch(ClientConnection& connection);

 private:
  struct Target {
    std::shared_ptr<Origin> origin;
    std::size_t index;
  };

  static Task<> sweep(std::shared_ptr<LoopClient> self);
  static Task<Attempt> try_once(std::shared_ptr<LoopClient> self, std::shared_ptr<Origin> origin,
                                Call* call);
  /// Empty: `failed` says why.
  static Task<std::optional<Lease>> acquire(std::shared_ptr<LoopClient> self,
                                            std::shared_ptr<Origin> origin,
                                            Clock::time_point deadline, Attempt* failed);
  static Task<ErrorCode> connect(std::shared_ptr<Origin> origin, ClientConnection* connection,
                                 Clock::time_point deadline);
  std::optional<Target> choose(const std::vector<bool>& tried);
  bool may_repeat(const Call& call, const Attempt& attempt);
  void judge(Target& target, const Attempt& attempt);
  void count(const Attempt& attempt, Clock::time_point started) const;
  std::chrono::milliseconds pause();

  boost::asio::io_context& loop_;
  ClientConfig config_;
  ClientMetrics metrics_;
  std::vector<std::shared_ptr<Origin>> origins_;
  std::size_t turn_ = 0;
  RetryBudget budget_;
  boost::intrusive::list<ClientConnection, boost::intrusive::constant_time_size<false>> watched_;
  bool sweeping_ = false;
  std::minstd_rand random_;  ///< of the pause before a retry
};

/// Sends the call on the leased connection and reads the answer.
Task<Attempt> run_call(Lease lease, LoopClient::Call* call, const ClientConfig* config);

}  // namespace stoa::http::detail
