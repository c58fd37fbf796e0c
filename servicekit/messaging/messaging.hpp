#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/async/context.hpp"
#include "servicekit/async/loops.hpp"
#include "servicekit/async/task.hpp"
#include "servicekit/core/error.hpp"
#include "servicekit/core/secret.hpp"
#include "servicekit/core/time.hpp"
#include "servicekit/core/uuid.hpp"

namespace stoa::runtime {
class Environment;
}
namespace stoa::telemetry {
class Telemetry;
}

// Facts between services: CloudEvents 1.0 (structured JSON) over RabbitMQ quorum queues.
namespace stoa::messaging {

/// A row of the outbox, to be inserted in the transaction of the state it tells. In SQL:
///   INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent) VALUES …
/// id uuid, type text ("order.placed"), subject text (the aggregate's id, "ord_…"),
/// aggregate_version bigint, data jsonb (as contracts/events/<type>.json promises), traceparent
/// text. The relay publishes to `stoa.events` with routing key = type and `type` = "<type>.v1".
///
/// And the inbox, to be claimed in the statement of the effect:
///   INSERT INTO inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING …

/// One delivered event.
struct Event {
  Uuid id;              ///< evt_…
  std::string source;   ///< "order-service"
  std::string type;     ///< "order.placed"
  int version = 0;      ///< of the schema: 1
  std::string subject;  ///< "ord_…"
  std::int64_t aggregate_version = 0;
  Instant time{};
  std::string data;      ///< JSON text of `data`
  TraceContext trace{};  ///< of the consumer's span: put its traceparent in the events it causes
};

/// What became of one event.
struct Verdict {
  enum class Kind : std::uint8_t {
    done,    ///< effected now or before: ack
    wait,    ///< its predecessor is not here yet: again every 10 s for up to 24 h
    refuse,  ///< cannot be done: retried at 0.5, 2 and 8 s, then dead letter with the reason
  };
  Kind kind = Kind::done;
  std::string reason{};

  static Verdict done() { return {}; }
  static Verdict wait(std::string why) { return {Kind::wait, std::move(why)}; }
  static Verdict refuse(std::string why) { return {Kind::refuse, std::move(why)}; }
  /// Of an event that cannot be read: the error's detail and its fields, never their values.
  static Verdict refuse(const Error& why);
};

/// Does a batch in one transaction and answers one verdict for each event, in order. Each effect
/// claims its inbox row in the same transaction, so that a repeat changes nothing; no event is in
/// a batch twice.
/// Unavailable thrown: the world failed; nothing is counted, the consumer pauses (backoff, cap 5 s)
/// and the batch comes again. SqlError thrown: the batch is done again one by one; only the event
/// that fails alone is refused.
using BatchHandler = std::function<Task<std::vector<Verdict>>(Context, std::vector<Event>)>;

struct BrokerConfig {
  std::vector<std::string> addresses;  ///< "host:port", tried in turn
  std::string user;
  Secret<> password;
  std::string vhost = "/";
  std::chrono::seconds heartbeat{5};
  /// PEM of who signed the broker's certificate: TLS, the certificate and its host name verified.
  /// Empty: no TLS.
  std::string ca_path{};

  /// STOA_BROKER_ADDRESSES, STOA_BROKER_USER (`service`), STOA_BROKER_PASSWORD(_FILE),
  /// STOA_BROKER_CA (none).
  static BrokerConfig read(runtime::Environment& environment, std::string_view service);
};

/// One queue of contracts/events/topology.yaml consumed on loop 0. Own connection and thread;
/// reconnects with backoff (cap 5 s).
class Consumer {
 public:
  struct Options {
    std::string queue;  ///< "payment-service.order-placed"
    std::size_t batch_max = 64;
    std::size_t prefetch = 256;
    std::chrono::milliseconds deadline{10'000};  ///< of one batch
  };
  Consumer(Loops& loops, BrokerConfig broker, Options options, BatchHandler handler,
           telemetry::Telemetry& telemetry);
  ~Consumer();
  void start();
  /// Stops taking messages, finishes and acks what is in hand.
  Task<> stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Publishes the outbox of one service, on a thread with a database connection of its own. One
/// relay is active per database (session advisory lock on that connection); the others stand by,
/// hand on their wake-ups, and take over when it ends. Reads a batch, publishes with confirms and
/// `mandatory`, deletes what was confirmed; a take-over may publish twice. Events of a type whose
/// queues (contracts/events/topology.yaml) do not all exist wait in the outbox, the others pass.
class OutboxRelay {
 public:
  struct Options {
    std::string service;  ///< CloudEvents `source`
    Secret<> dsn;         ///< of the relay's own connection
    std::size_t batch_max = 500;
    std::chrono::milliseconds poll_min{50};  ///< safety net; backs off to poll_max when idle
    std::chrono::milliseconds poll_max{1'000};
    std::int64_t rows_max = 1'000'000;  ///< beyond either: accepting() is false
    std::chrono::hours age_max{6};
  };
  OutboxRelay(BrokerConfig broker, Options options, telemetry::Telemetry& telemetry);
  ~OutboxRelay();
  void start();

  /// After a commit that wrote outbox rows: from any loop, never blocks.
  void wake();

  /// False when the outbox is so full or so old that new orders must be refused (503).
  bool accepting() const;

  Task<> stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Moves messages of `queue`'s dead letters back to it, oldest first; leaves those older than 29
/// days (the inbox forgets after 30). Blocks. Returns how many were moved.
std::size_t redrive(const BrokerConfig& broker, const std::string& queue, std::size_t count_max);

inline constexpr std::string_view redrive_help =
    "[QUEUE [COUNT]]: dead letters back to their queue; every queue of the service, 1000 each";

/// The command `<service> redrive` with its arguments, for the queues that `service` consumes;
/// prints a line for each. Returns the exit code: 0, or 2 for arguments that it does not know.
/// Throws what reading the settings of the broker throws, and Unavailable. Blocks.
int redrive_command(std::string_view service, runtime::Environment& environment,
                    std::span<const std::string_view> arguments);

}  // namespace stoa::messaging
