#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <gtest/gtest.h>

#include "servicekit/async/loops.hpp"
#include "servicekit/core/type_id.hpp"
#include "servicekit/messaging/detail/amqp_connection.hpp"
#include "servicekit/messaging/detail/envelope.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/messaging/tests/operator_client.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/private_rabbitmq.hpp"

namespace stoa::messaging {

using namespace std::chrono_literals;
using testing_support::PrivateRabbitmq;

inline constexpr auto patience = 30s;

/// Whether `condition` came true in time.
inline bool eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds limit = patience) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

inline BrokerConfig broker_for(const std::string& user) {
  return {.addresses = {PrivateRabbitmq::shared().address()},
          .user = user,
          .password = PrivateRabbitmq::password(user)};
}

/// The n-th event of a test, the same whenever it is asked for.
inline Event event_number(std::uint16_t n, const std::string& type = "payment.captured") {
  Uuid id{};
  id.bytes = {0x01, 0x93, 0, 0, 0, 0, 0x70, 0, 0x80};
  id.bytes[14] = static_cast<std::uint8_t>(n >> 8U);
  id.bytes[15] = static_cast<std::uint8_t>(n & 0xFFU);
  return {.id = id,
          .source = "payment-service",
          .type = type,
          .version = 1,
          .subject = "ord_" + std::to_string(n),
          .aggregate_version = n,
          .time = std::chrono::time_point_cast<std::chrono::milliseconds>(
              std::chrono::system_clock::now()),
          .data = "{\"n\":" + std::to_string(n) + "}"};
}

inline detail::Publication publication(const Event& event, std::string exchange = "stoa.events",
                                       const std::string& key = {}) {
  return {.exchange = std::move(exchange),
          .routing_key = key.empty() ? event.type : key,
          .message_id = EventId{event.id}.str(),
          .type = event.type,
          .body = detail::write_envelope(event)};
}

inline void publish_all(const std::vector<detail::Publication>& messages,
                        const std::string& user = "operator") {
  detail::AmqpConnection connection{broker_for(user), 0, "test"};
  for (const auto& message : messages) connection.publish(message);
  connection.settle(10s);
  for (const auto& settled : connection.take_settled()) {
    ASSERT_EQ(settled.outcome, detail::Settled::Outcome::confirmed);
  }
}

/// A process with one loop on a thread of its own, and the shared broker with empty queues.
class MessagingTest : public testing::Test {
 protected:
  MessagingTest() {
    PrivateRabbitmq::shared().start();
    OperatorClient{}.purge_all();
    loop_thread_ = std::thread{[this] { loops_.run(); }};
  }
  ~MessagingTest() override {
    loops_.stop();
    loop_thread_.join();
  }

  /// Runs a task on the loop and waits for its end.
  void on_loop(std::function<Task<>()> make) {
    std::promise<void> done;
    boost::asio::co_spawn(loops_.at(0), make(), [&](const std::exception_ptr& failure) {
      failure ? done.set_exception(failure) : done.set_value();
    });
    done.get_future().get();
  }

  /// The value of a metric by its exposed name with labels; -1 when it is not there.
  double metric(const std::string& name) {
    const std::string text = "\n" + telemetry_.exposition();
    const auto at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  // Spans are made only when somebody would take them: an address where nobody listens will do.
  telemetry::Telemetry telemetry_{
      {.service = "test", .otlp_url = "http://127.0.0.1:1", .log_level = "off"}};
  Loops loops_{1};
  std::thread loop_thread_;
};

/// A handler that remembers what it was given and answers what the test says.
class Recorder {
 public:
  using Answer = std::function<Verdict(const Event&)>;
  explicit Recorder(Answer answer = [](const Event&) { return Verdict::done(); })
      : answer_{std::move(answer)} {}

  BatchHandler handler() {
    return [this](Context, std::vector<Event> events) { return handle(std::move(events)); };
  }
  std::size_t count() {
    const std::lock_guard lock{mutex_};
    return seen_.size();
  }
  std::vector<Event> seen() {
    const std::lock_guard lock{mutex_};
    return seen_;
  }
  /// How often each subject came.
  std::map<std::string, int> by_subject() {
    std::map<std::string, int> counts;
    for (const Event& event : seen()) ++counts[event.subject];
    return counts;
  }

 private:
  Task<std::vector<Verdict>> handle(std::vector<Event> events) {
    std::vector<Verdict> verdicts;
    for (const Event& event : events) verdicts.push_back(answer_(event));
    const std::lock_guard lock{mutex_};
    for (Event& event : events) seen_.push_back(std::move(event));
    co_return verdicts;
  }

  Answer answer_;
  std::mutex mutex_;
  std::vector<Event> seen_;
};

}  // namespace stoa::messaging
