#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <rabbitmq-c/amqp.h>

#include "servicekit/messaging/messaging.hpp"

namespace stoa::messaging::detail {

/// A message to send: always persistent, mandatory and confirmed.
struct Publication {
  std::string exchange;
  std::string routing_key;
  std::string message_id;
  std::string type;
  std::string body;
  std::map<std::string, std::string> headers{};
};

/// A message that was taken from a queue and is not acknowledged yet.
struct Delivery {
  std::uint64_t tag = 0;
  std::string message_id;
  std::string type;
  std::string body;
  std::map<std::string, std::string> headers{};  ///< those of text, which are ours
};

/// What the broker said of one publication.
struct Settled {
  enum class Outcome : std::uint8_t {
    confirmed,  ///< on disk in every queue it is bound for
    returned,   ///< no queue takes it
    refused,    ///< a queue could not take it
  };
  std::uint64_t sequence = 0;
  Outcome outcome = Outcome::confirmed;
};

/// One AMQP 0-9-1 connection. Belongs to one thread, which must call dispatch() at least every
/// half heartbeat: rabbitmq-c sends and checks heartbeats only inside its own calls.
/// Every member that talks to the broker throws Unavailable when the connection is lost, refused or
/// silent; the object is then of no further use.
class AmqpConnection {
 public:
  /// Connects to the first of `addresses` that answers, starting at `first`. Waits at most
  /// 3 s for each. `name` is what the broker's view shows.
  AmqpConnection(const BrokerConfig& config, std::size_t first, const std::string& name);
  ~AmqpConnection();
  AmqpConnection(const AmqpConnection&) = delete;
  AmqpConnection& operator=(const AmqpConnection&) = delete;

  /// Asks without declaring. Waits for the answer.
  bool queue_exists(const std::string& queue);
  /// Messages ready in a queue; 0 when there is no such queue. Waits for the answer.
  std::size_t queue_length(const std::string& queue);

  /// Starts deliveries. Waits for the answer.
  void consume(const std::string& queue, std::size_t prefetch);
  /// Stops them: what is underway still arrives. Waits for the answer.
  void cancel();
  /// Fetches one message, if there is one. Waits for the answer.
  std::unique_ptr<Delivery> get(const std::string& queue);

  void ack(std::uint64_t tag, bool multiple);

  /// Sends and returns the sequence number by which settled() speaks of it.
  std::uint64_t publish(const Publication& publication);
  /// What is published from now on leaves together when the holding back ends, in as few segments
  /// as it fits in: the broker is woken once. The system sends it after 200 ms anyhow.
  void hold_back(bool held) const;
  std::size_t unsettled() const { return unsettled_.size(); }
  std::chrono::steady_clock::time_point oldest_unsettled() const;

  /// Takes in everything that has arrived; never waits.
  void dispatch();
  /// Waits until something arrives, `wake_fds` become readable or the time is over; then
  /// dispatches.
  void wait(const std::vector<int>& wake_fds, std::chrono::milliseconds timeout);
  /// Waits until everything published is settled. Throws Unavailable after `timeout`.
  void settle(std::chrono::milliseconds timeout);

  std::vector<Settled> take_settled();
  std::deque<Delivery>& deliveries() { return deliveries_; }

 private:
  struct Close {
    void operator()(amqp_connection_state_t state) const;
  };
  using State = std::unique_ptr<amqp_connection_state_t_, Close>;

  State connect(const BrokerConfig& config, const std::string& address, const std::string& name);
  void open_channels();
  void take_frame(const amqp_frame_t& frame);
  void take_delivery(const amqp_basic_deliver_t& deliver);
  void take_return(const amqp_basic_return_t& returned);
  void take_confirm(std::uint64_t sequence, bool multiple, Settled::Outcome outcome);
  Delivery read_message(std::uint64_t tag);
  const amqp_queue_declare_ok_t* ask_queue(const std::string& queue);
  [[noreturn]] void lose(const std::string& why);
  void check_reply(const char* doing);

  State state_;
  bool lost_ = false;
  std::uint64_t next_sequence_ = 1;
  std::map<std::uint64_t, std::chrono::steady_clock::time_point> unsettled_;
  std::unordered_map<std::uint64_t, bool> returned_;
  std::vector<Settled> settled_;
  std::deque<Delivery> deliveries_;
};

/// "host:port" taken apart; port 5672 when absent.
std::pair<std::string, int> split_address(std::string_view address);

}  // namespace stoa::messaging::detail
