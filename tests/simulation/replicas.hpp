#pragma once

#include <vector>

#include "services/order-service/app/orders.hpp"
#include "services/payment-service/app/charges.hpp"
#include "services/payment-service/app/provider_events.hpp"
#include "services/payment-service/app/refunds.hpp"
#include "services/product-service/app/reservations.hpp"
#include "tests/simulation/order_database.hpp"
#include "tests/simulation/payment_database.hpp"
#include "tests/simulation/provider.hpp"
#include "tests/simulation/stock_database.hpp"

// One running process of each service: the use cases of production, over simulated neighbours.
// What is in here dies with the process.
namespace stoa::simulation {

class World;

/// order-service's view of its disk.
class OrderStoreOverLine final : public order::OrderStore {
 public:
  OrderStoreOverLine(Room& room, OrderDatabase& database, Line& line)
      : room_{room}, database_{database}, line_{line} {}

  Task<Result<order::KeyState>> look_up(Context, order::IdempotencyKey key) override;
  Task<Result<std::optional<order::Answer>>> first_answer(Context,
                                                          order::IdempotencyKey key) override;
  Task<bool> insert_if_first(Context, order::NewOrder placed) override;
  Task<order::Claim> abandon(Context, ReservationId id, order::Origin origin) override;
  Task<std::optional<order::Order>> find(Context, OrderId id) override;
  Task<order::OrderPage> list(Context, order::ListOrders query) override;
  Task<std::vector<order::HistoryEntry>> history(Context, OrderId id) override;
  Task<bool> store_cancelling(Context, order::Order order, order::CancelReason reason,
                              std::optional<order::IdempotencyKey> key,
                              order::Answer answer) override;
  Task<std::vector<order::Effect>> apply(Context, std::vector<order::PaymentFact> facts) override;
  Task<std::vector<order::Overdue>> claim_overdue(Context, std::size_t limit) override;
  Task<> repeat_cancel_request(Context, order::Overdue order) override;

 private:
  Room& room_;
  OrderDatabase& database_;
  Line& line_;
};

class OrderReplica final : public order::StockAndPrices,
                           public order::Payments,
                           public order::Publisher {
 public:
  OrderReplica(World& world, ProcessId process);
  OrderReplica(const OrderReplica&) = delete;
  OrderReplica& operator=(const OrderReplica&) = delete;
  ~OrderReplica() override = default;

  void start();
  order::Orders& orders() { return orders_; }

  Task<Result<std::vector<order::PricedLine>>> reserve(Context, order::Reserve command) override;
  Task<> release(Context, ReservationId id) override;
  Task<Known> state_of(Context, OrderId id) override;
  bool accepting() const override { return true; }
  void wake() override {}

 private:
  Task<std::vector<Verdict>> payment_results(std::vector<Event> events);
  Task<> sweep();

  World& world_;
  Line line_;
  OrderStoreOverLine store_;
  order::Orders orders_;
};

/// payment-service's view of its disk.
class PaymentStoreOverLine final : public payment::PaymentStore {
 public:
  PaymentStoreOverLine(PaymentDatabase& database, Line& line) : database_{database}, line_{line} {}

  Task<std::vector<AttemptId>> open(Context, std::vector<payment::PlacedOrder> orders,
                                    std::size_t leased_max, milliseconds lease) override;
  Task<std::vector<payment::Charge>> claim_charges(Context, std::size_t count_max,
                                                   milliseconds lease) override;
  Task<bool> record_charges(Context, std::vector<payment::ChargeResult> results) override;
  Task<bool> close_order(Context, payment::Cancellation cancellation) override;
  Task<Result<payment::Answer>> request_refund(Context, payment::RefundRequest request,
                                               payment::RequestKey key,
                                               payment::Answer answer) override;
  Task<std::vector<payment::RefundCall>> claim_refunds(Context, std::size_t count_max,
                                                       milliseconds lease) override;
  Task<std::optional<payment::RefundCall>> claim_refund(Context, RefundId id,
                                                        milliseconds lease) override;
  Task<bool> record_refund(Context, payment::RefundCall call,
                           payment::RefundOutcome outcome) override;
  Task<bool> record_refund_by_hand(Context, payment::RefundCall call, std::string note) override;
  Task<> postpone_refund(Context, RefundId id, milliseconds retry_in) override;
  Task<Result<payment::PaymentView>> find(Context, PaymentId id, payment::Viewer viewer) override;
  Task<std::optional<payment::PaymentView>> find_by_order(Context, OrderId order,
                                                          payment::Viewer viewer) override;
  Task<std::optional<payment::Payment>> payment_of_order(Context, OrderId order) override;
  Task<std::vector<payment::Balance>> balances(Context) override;
  Task<payment::EntryPage> entries(Context, payment::ListEntries query) override;
  Task<bool> store_provider_event(Context, payment::ProviderEvent event) override;
  Task<std::size_t> act_on_provider_events(Context, std::size_t count_max) override;

 private:
  PaymentDatabase& database_;
  Line& line_;
};

class PaymentReplica final : public payment::Provider {
 public:
  PaymentReplica(World& world, ProcessId process);
  PaymentReplica(const PaymentReplica&) = delete;
  PaymentReplica& operator=(const PaymentReplica&) = delete;
  ~PaymentReplica() override = default;

  void start();
  payment::Refunds& refunds() { return refunds_; }
  PaymentStoreOverLine& store() { return store_; }
  /// The provider's webhook: stored, answered, then acted on.
  Task<> webhook(payment::ProviderEvent event);

  Task<payment::ChargeOutcome> charge(Context, payment::Charge charge) override;
  Task<std::optional<payment::ChargeOutcome>> ask_charge(Context, AttemptId key) override;
  Task<payment::ChargeOutcome> void_charge(Context, AttemptId key) override;
  Task<payment::RefundOutcome> refund(Context, payment::RefundCall call) override;
  Task<std::optional<payment::RefundOutcome>> ask_refund(Context, RefundId key) override;
  Task<std::optional<payment::RefundOutcome>> void_refund(Context, RefundId key) override;

 private:
  Task<std::vector<Verdict>> placed(std::vector<Event> events);
  Task<std::vector<Verdict>> cancel_requested(std::vector<Event> events);

  World& world_;
  Line line_;
  PaymentStoreOverLine store_;
  payment::Refunds refunds_;
  payment::Charges charges_;
  payment::ProviderEvents provider_events_;
};

/// product-service's view of its disk.
class StockStoreOverLine final : public product::StockStore {
 public:
  StockStoreOverLine(Room& room, StockDatabase& database, Line& line)
      : room_{room}, database_{database}, line_{line} {}

  Task<Result<product::Reserved>> reserve(Context, product::ReserveStock command) override;
  Task<product::StaleProducts> settle(Context, ReservationId id,
                                      product::Settlement settlement) override;
  Task<product::SettledBatch> settle_orders(Context,
                                            std::vector<product::SettledOrder> orders) override;
  Task<std::vector<product::OverdueReservation>> claim_overdue(Context) override;
  Task<std::optional<product::StockLevel>> level(Context, VariantId id) override;
  Task<Result<product::Adjusted>> adjust(Context, product::AdjustStock command) override;
  Task<Result<product::MovementPage>> movements(Context, product::ListMovements query) override;

 private:
  Room& room_;
  StockDatabase& database_;
  Line& line_;
};

class ProductReplica final : public product::OrderReservations, public product::CatalogueCache {
 public:
  ProductReplica(World& world, ProcessId process);
  ProductReplica(const ProductReplica&) = delete;
  ProductReplica& operator=(const ProductReplica&) = delete;
  ~ProductReplica() override = default;

  void start();
  product::Reservations& reservations() { return reservations_; }

  Task<product::ReservationFate> abandon(Context, ReservationId id, Uuid origin) override;
  Task<> forget(Context, std::vector<ProductId> products) override;

 private:
  Task<std::vector<Verdict>> order_settled(std::vector<Event> events);
  Task<> sweep();

  World& world_;
  Line line_;
  StockStoreOverLine store_;
  product::Reservations reservations_;
};

/// Does `task` every `period`, more or less, as `process`, for ever.
Task<> every(Room* room, ProcessId process, milliseconds period, std::function<Task<>()> task);

}  // namespace stoa::simulation
