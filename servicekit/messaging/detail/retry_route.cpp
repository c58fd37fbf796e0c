#include "servicekit/messaging/detail/retry_route.hpp"

#include <charconv>
#include <cstdint>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/messaging/detail/topology.hpp"

namespace stoa::messaging::detail {
namespace {

// A header is for people; a broker refuses frames that are too long.
constexpr std::size_t reason_bytes_max = 1'000;

std::string header(const Delivery& delivery, std::string_view name) {
  const auto found = delivery.headers.find(std::string{name});
  return found == delivery.headers.end() ? std::string{} : found->second;
}

template <class Number>
Number number_header(const Delivery& delivery, std::string_view name, Number fallback) {
  const std::string text = header(delivery, name);
  Number number = fallback;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string service_of(const std::string& queue) { return queue.substr(0, queue.find('.')); }

Publication copy_to(const std::string& queue, std::string_view suffix, const Delivery& delivery) {
  std::string key = queue;
  if (!suffix.empty()) (key += '.') += suffix;
  return {.exchange = service_of(queue) + ".retry",
          .routing_key = std::move(key),
          .message_id = delivery.message_id,
          .type = delivery.type,
          .body = delivery.body};
}

Rerouted bury(const std::string& queue, const Delivery& delivery, std::string reason, Instant now) {
  Rerouted dead{.publication = copy_to(queue, topology::dead_suffix, delivery), .dead = true};
  dead.publication.headers = {{std::string{reason_header}, std::move(reason)},
                              {std::string{dead_at_header}, rfc3339(now)}};
  return dead;
}

Rerouted again(const std::string& queue, const Delivery& delivery, std::string reason,
               Instant now) {
  const auto attempt = number_header<std::size_t>(delivery, attempt_header, 0);
  if (attempt >= topology::retry_delays.size()) {
    return bury(queue, delivery, std::move(reason), now);
  }
  Rerouted retry{.publication = copy_to(queue, topology::retry_delays[attempt].suffix, delivery)};
  retry.publication.headers = {{std::string{reason_header}, std::move(reason)},
                               {std::string{attempt_header}, std::to_string(attempt + 1)}};
  return retry;
}

Rerouted later(const std::string& queue, const Delivery& delivery, std::string reason,
               Instant now) {
  const auto moment = now.time_since_epoch().count();
  const auto since = number_header<std::int64_t>(delivery, waiting_since_header, moment);
  if (std::chrono::milliseconds{moment - since} >= waiting_max) {
    return bury(queue, delivery, "waited 24 h: " + reason, now);
  }
  Rerouted waiting{.publication = copy_to(queue, topology::wait_delay.suffix, delivery)};
  waiting.publication.headers = {{std::string{reason_header}, std::move(reason)},
                                 {std::string{waiting_since_header}, std::to_string(since)}};
  if (auto attempt = header(delivery, attempt_header); !attempt.empty()) {
    waiting.publication.headers.emplace(attempt_header, std::move(attempt));
  }
  return waiting;
}

}  // namespace

Rerouted reroute(const std::string& queue, const Delivery& delivery, const Verdict& verdict,
                 Instant now) {
  std::string reason = verdict.reason.substr(0, reason_bytes_max);
  switch (verdict.kind) {
    case Verdict::Kind::wait:
      return later(queue, delivery, std::move(reason), now);
    case Verdict::Kind::refuse:
      return again(queue, delivery, std::move(reason), now);
    case Verdict::Kind::done:
      break;
  }
  fail_invariant("a message that is done goes nowhere", std::source_location::current());
}

Publication revive(const std::string& queue, const Delivery& dead) {
  return copy_to(queue, {}, dead);
}

std::optional<Instant> died_at(const Delivery& dead) {
  return parse_rfc3339(header(dead, dead_at_header));
}

}  // namespace stoa::messaging::detail
