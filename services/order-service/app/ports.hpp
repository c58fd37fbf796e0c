#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "servicekit/async/context.hpp"
#include "servicekit/async/task.hpp"
#include "servicekit/core/list_total.hpp"

#include "services/order-service/domain/order.hpp"

// What the use cases need from outside the process. Nothing else gets an interface.
namespace stoa::order {

/// What the caller was told, kept so that a repeat is told the same.
struct Answer {
  int status = 0;
  std::string headers{};  ///< ready lines: "name: value\r\n"
  std::string body{};
  bool replayed = false;
};

/// Who asks, and what for: repeating a key with the same fingerprint is the same request.
struct IdempotencyKey {
  std::string caller;
  Origin origin;
  std::string fingerprint;  ///< 64 hex characters: SHA-256 of the canonical JSON (RFC 8785)
};

struct Reserve {
  ReservationId id;
  Origin origin;  ///< handed back when the reservation is to be abandoned
  UserId buyer;
  Currency currency;
  std::vector<WantedLine> lines;
};

/// product-service, as an order needs it.
class StockAndPrices {
 public:
  virtual ~StockAndPrices() = default;

  /// Reserves every line or none and prices them, in the order given. Repeating the id of an
  /// active or committed reservation returns its first success.
  /// Errors: variant_not_found, currency_not_available, out_of_stock, too_many_open_orders,
  /// idempotency_key_reused (same id, other lines), reservation_ended. Throws Unavailable when
  /// product-service cannot answer in time.
  virtual Task<Result<std::vector<PricedLine>>> reserve(Context context, Reserve command) = 0;

  /// Gives stock back at once. Only for a reservation whose tombstone is written. Throws
  /// Unavailable.
  virtual Task<> release(Context context, ReservationId id) = 0;
};

/// payment-service, as the sweep needs it.
class Payments {
 public:
  struct Known {
    PaymentState state;
    std::optional<std::string> reason;  ///< of a decline
  };

  virtual ~Payments() = default;
  /// Throws Unavailable when payment-service cannot answer in time.
  virtual Task<Known> state_of(Context context, OrderId id) = 0;
};

/// The way of the events out of this process.
class Publisher {
 public:
  virtual ~Publisher() = default;
  /// False when so much waits to be published that new orders must be refused.
  virtual bool accepting() const = 0;
  /// After each commit that wrote an event. Never blocks.
  virtual void wake() = 0;
};

/// What the store knows of a key before anything is done for it.
struct KeyState {
  std::optional<Answer> answered;  ///< the first answer, byte for byte
  std::uint32_t generation = 0;    ///< of the reservation to try next
  OrderNumber number{0};           ///< for the order that would be placed; 0 when answered
};

/// Everything that placing an order stores, in one statement.
struct NewOrder {
  Order order;
  IdempotencyKey key;
  Answer answer;
  std::string payment_token;  ///< only passed on, in order.placed
};

/// Who holds a reservation.
struct Claim {
  struct Holder {
    OrderId id;
    Status status;
  };
  std::optional<Holder> holder;  ///< empty: nobody does, and nobody ever will
};

/// Which orders, and from where on. Newest first unless `oldest_first`.
struct ListOrders {
  std::optional<UserId> customer{};
  std::vector<Status> statuses{};  ///< empty: every one
  bool oldest_first = false;
  std::optional<OrderId> after{};
  std::size_t limit = 20;
  bool with_total = false;
};

struct OrderPage {
  std::vector<Order> orders;
  bool has_more = false;
  std::optional<ListTotal> total{};  ///< when it was asked for
};

struct HistoryEntry {
  std::string type;  ///< of the event that was told: "order.paid"
  Status status;
  std::int64_t version;
  std::optional<std::string> reason;
  Instant at;
};

/// An event of payment-service about one order.
struct PaymentFact {
  Uuid event;
  OrderId order;
  UserId customer;
  PaymentResult result;
  std::optional<std::string> reason;  ///< of a decline
  std::string traceparent;
};

enum class Effect : std::uint8_t {
  moved,
  unchanged,  ///< told before, or overtaken
  lost_order  ///< nobody knows it: the database was set back. What was captured is asked back
};

/// An order that waits past its deadline, leased to the caller.
struct Overdue {
  OrderId id;
  UserId customer;
  Status status;
  std::int64_t version;
  std::optional<std::string> reason;
};

/// How long an order waits, by the clock of the database.
struct Patience {
  std::chrono::seconds pending;     ///< for the payment, once order.placed was published
  std::chrono::seconds cancelling;  ///< between two requests to cancel
  std::chrono::seconds lease;       ///< nobody else sweeps an order meanwhile
};

class OrderStore {
 public:
  virtual ~OrderStore() = default;

  /// Errors: idempotency_key_reused (same key, other fingerprint).
  virtual Task<Result<KeyState>> look_up(Context context, IdempotencyKey key) = 0;

  /// The stored answer only. Errors: idempotency_key_reused.
  virtual Task<Result<std::optional<Answer>>> first_answer(Context context, IdempotencyKey key) = 0;

  /// Stores claim, key, order, history and event in one statement. False when the key or the
  /// reservation was taken meanwhile: look up again.
  virtual Task<bool> insert_if_first(Context context, NewOrder placed) = 0;

  /// Writes the reservation's tombstone, unless an order holds it.
  virtual Task<Claim> abandon(Context context, ReservationId id, Origin origin) = 0;

  virtual Task<std::optional<Order>> find(Context context, OrderId id) = 0;
  virtual Task<OrderPage> list(Context context, ListOrders query) = 0;
  virtual Task<std::vector<HistoryEntry>> history(Context context, OrderId id) = 0;

  /// Stores what cancel() made of the order whose version was `order.version - 1`, with history,
  /// order.cancel_requested and, when there is a key, its answer. False when the order moved
  /// meanwhile: read again.
  virtual Task<bool> store_cancelling(Context context, Order order, CancelReason reason,
                                      std::optional<IdempotencyKey> key, Answer answer) = 0;

  /// Applies each fact once, with history and event. All in one transaction; no order twice.
  virtual Task<std::vector<Effect>> apply(Context context, std::vector<PaymentFact> facts) = 0;

  /// Takes at most `limit` orders that wait past their deadline, earliest first, and leases them;
  /// two sweeps at once get different ones. A pending order whose order.placed has not left the
  /// outbox, or left it since the last look, gets a new deadline and is not among them; nor is a
  /// cancelling one whose request has not left.
  virtual Task<std::vector<Overdue>> claim_overdue(Context context, std::size_t limit) = 0;

  /// Tells order.cancel_requested again while the order is still cancelling.
  virtual Task<> repeat_cancel_request(Context context, Overdue order) = 0;
};

}  // namespace stoa::order
