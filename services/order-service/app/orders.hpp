#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "services/order-service/app/ports.hpp"

namespace stoa::order {

struct PlaceOrder {
  std::vector<WantedLine> wanted;
  Currency currency;
  Address shipping_address;
  std::string shipping_method;
  std::string payment_token;
  UserId customer;
  IdempotencyKey key;
};

/// Who looks or asks. Another customer's order does not exist for them.
struct Viewer {
  UserId user;
  bool reads_all = false;   ///< scope orders:read_all
  bool writes_all = false;  ///< scope orders:write
};

struct CancelOrder {
  OrderId id;
  Viewer viewer;
  std::optional<IdempotencyKey> key;
};

/// The use cases of order-service: one method for each thing an outsider may ask.
/// Stateless and shared by every event loop; the collaborators must outlive it.
class Orders {
 public:
  static constexpr std::size_t sweep_batch = 50;

  struct Sources {
    std::function<OrderId()> next_id;
    std::function<Instant()> now;
    std::function<Answer(const Order&)> render_placed;      ///< the 201 a caller gets
    std::function<Answer(const Order&)> render_cancelling;  ///< the 202
    std::function<Uuid(const OrderId&, PaymentResult)> lost_event_id;
  };
  Orders(StockAndPrices& stock, Payments& payments, OrderStore& store, Publisher& publisher,
         Sources sources);

  /// Applies the rules, reserves and prices the lines, and stores the order with its event.
  /// Repeating a command with the same key returns the first answer, byte for byte.
  /// Errors: those of check_wanted(), StockAndPrices::reserve() and order::place(), and
  /// idempotency_key_reused. Throws Unavailable when twins keep taking the key away (at most
  /// placing_rounds_max rounds), and while too much waits to be published.
  Task<Result<Answer>> place(Context context, PlaceOrder command);

  /// Errors: order_not_found.
  Task<Result<Order>> get(Context context, Viewer viewer, OrderId id);
  Task<OrderPage> list(Context context, ListOrders query);
  /// Oldest first. Errors: order_not_found.
  Task<Result<std::vector<HistoryEntry>>> history(Context context, Viewer viewer, OrderId id);

  /// Asks for the cancellation of an order; payment-service's answer completes it. Asking twice is
  /// asking once. Errors: order_not_found, invalid_state, idempotency_key_reused.
  Task<Result<Answer>> cancel(Context context, CancelOrder command);

  /// For product-service, about a reservation past its deadline: who holds it. When nobody does,
  /// nobody ever will.
  Task<Claim> abandon(Context context, ReservationId id, Origin origin);

  /// Applies what payment-service told, each fact once. One effect for each, in order.
  Task<std::vector<Effect>> apply(Context context, std::vector<PaymentFact> facts);

  /// Does for orders that wait too long what a lost message would have done. Safe to run in every
  /// replica at once. Returns how many it looked at.
  Task<std::size_t> sweep(Context context);

 private:
  /// Empty when the key or the reservation was taken meanwhile.
  Task<std::optional<Result<Answer>>> try_place(Context context, PlaceOrder command,
                                                KeyState state);
  Task<Result<Answer>> refuse_reserved(Context context, ReservationId id, Origin origin,
                                       Error refusal);
  Task<> settle(Context context, Overdue overdue);
  Task<> expire(Context context, Overdue overdue);

  StockAndPrices& stock_;
  Payments& payments_;
  OrderStore& store_;
  Publisher& publisher_;
  Sources sources_;
};

}  // namespace stoa::order
