#include <algorithm>
#include <charconv>
#include <cstdio>
#include <format>
#include <optional>
#include <print>
#include <set>
#include <utility>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/messaging/detail/amqp_connection.hpp"
#include "servicekit/messaging/detail/envelope.hpp"
#include "servicekit/messaging/detail/retry_route.hpp"
#include "servicekit/messaging/detail/topology.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/runtime/config.hpp"

namespace stoa::messaging {
namespace {

// An inbox forgets after 30 days; a day's distance keeps clocks out of it.
constexpr std::chrono::days age_max{29};
constexpr std::chrono::milliseconds confirm_timeout{10'000};
constexpr std::size_t redrive_default = 1'000;
constexpr int exit_wrong_usage = 2;

// The older of what the event and its burial say; something without any date is too old.
Instant age_of(const detail::Delivery& dead) {
  const auto event = detail::read_envelope(dead.body);
  const auto died = detail::died_at(dead);
  if (event && died) return std::min(event->time, *died);
  if (event) return event->time;
  return died.value_or(Instant{});
}

// A queue is named after the service that consumes it.
std::set<std::string_view> queues_of(std::string_view service) {
  std::set<std::string_view> queues;
  for (const auto& route : topology::routes) {
    if (route.queue.starts_with(std::format("{}.", service))) queues.insert(route.queue);
  }
  return queues;
}

std::optional<std::size_t> positive(std::string_view text) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number == 0) return std::nullopt;
  return number;
}

}  // namespace

std::size_t redrive(const BrokerConfig& broker, const std::string& queue, std::size_t count_max) {
  const std::string dead_queue = queue + "." + std::string{topology::dead_suffix};
  detail::AmqpConnection connection{broker, 0, "redrive " + queue};
  if (!connection.queue_exists(dead_queue)) throw Unavailable{dead_queue + " does not exist"};
  const auto oldest = std::chrono::system_clock::now() - age_max;

  // No more than there were at the start: what dies again meanwhile is not moved twice.
  std::size_t looked_at = connection.queue_length(dead_queue);
  std::size_t moved = 0;
  for (; looked_at > 0 && moved < count_max; --looked_at) {
    const auto dead = connection.get(dead_queue);
    if (!dead) break;
    // Left unacknowledged: the broker puts it back when the connection closes.
    if (age_of(*dead) < oldest) continue;
    connection.publish(detail::revive(queue, *dead));
    connection.settle(confirm_timeout);
    for (const detail::Settled& settled : connection.take_settled()) {
      if (settled.outcome != detail::Settled::Outcome::confirmed) {
        throw Unavailable{queue + " does not take the message"};
      }
    }
    connection.ack(dead->tag, false);
    ++moved;
  }
  return moved;
}

int redrive_command(std::string_view service, runtime::Environment& environment,
                    std::span<const std::string_view> arguments) {
  auto queues = queues_of(service);
  std::optional<std::size_t> count = redrive_default;
  if (arguments.size() > 1) count = positive(arguments[1]);
  const bool known = arguments.empty() || queues.contains(arguments[0]);
  if (arguments.size() > 2 || !count || !known) {
    std::println(stderr, "usage: {} redrive [QUEUE [COUNT]]   with COUNT from 1, QUEUE one of",
                 service);
    for (const std::string_view queue : queues) std::println(stderr, "  {}", queue);
    return exit_wrong_usage;
  }
  if (!arguments.empty()) queues = {arguments[0]};
  const BrokerConfig broker = BrokerConfig::read(environment, service);
  environment.check_read();
  for (const std::string_view queue : queues) {
    std::println("{} messages back in {}", redrive(broker, std::string{queue}, *count), queue);
  }
  return 0;
}

}  // namespace stoa::messaging
