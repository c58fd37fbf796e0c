#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "servicekit/async/context.hpp"
#include "servicekit/async/task.hpp"
#include "servicekit/core/error.hpp"
#include "servicekit/core/list_total.hpp"
#include "servicekit/core/time.hpp"

#include "services/payment-service/domain/payment.hpp"

// What the use cases need from outside the process. Nothing else gets an interface.
namespace stoa::payment {

/// An order.placed as it came, with the ids that its payment will have.
struct PlacedOrder {
  Uuid event;
  OrderId order;
  UserId customer;
  Money amount;
  std::string token;  ///< the provider's reference of the payment method
  std::string traceparent;
  PaymentId payment;
  AttemptId attempt;
};

/// An order.cancel_requested as it came.
struct Cancellation {
  Uuid event;
  OrderId order;
  UserId customer;
  std::string traceparent;
  PaymentId spare_payment;  ///< of the row, when the order was never placed
};

/// An attempt in the hands of a worker, by lease.
struct Charge {
  AttemptId attempt;
  PaymentId payment;
  OrderId order;
  UserId customer;
  Money amount;
  std::string token;
  std::string traceparent;
  bool closed = false;       ///< the order was cancelled meanwhile
  bool sent_before = false;  ///< the provider may know it: ask before anything else
  int tries = 0;             ///< questions without an answer so far
};

/// What became of a leased attempt; without an outcome it is `unknown` and due again at `retry_in`.
struct ChargeResult {
  Charge charge;
  std::optional<ChargeOutcome> outcome{};
  std::chrono::milliseconds retry_in{0};
};

/// A refund in the hands of a worker, by lease.
struct RefundCall {
  Refund refund;
  OrderId order;
  std::string provider_payment;
  std::string traceparent;
  bool sent_before = false;
  int tries = 0;
};

/// A refund as staff asked for it.
struct RefundRequest {
  RefundId id;
  PaymentId payment;
  Money amount;
  std::string reason;
  std::string requested_by;
  std::string traceparent;
};

/// One request as its sender means it, and what it is told: kept so that a repeat is told the same.
struct RequestKey {
  Uuid origin;
  std::string caller;
  std::string fingerprint;
};
struct Answer {
  int status = 0;
  std::string headers;
  std::string body;
  bool replayed = false;
};

/// Who may see a payment: its customer, or staff that sees all.
struct Viewer {
  UserId user;
  bool sees_all = false;
};

struct RefundView {
  Refund refund;
  std::string reason;
  std::string failure;
  Instant created_at;
};

struct PaymentView {
  Payment payment;
  Instant created_at;
  Instant updated_at;
  std::vector<RefundView> refunds{};  ///< oldest first, at most refunds_shown_max
};
inline constexpr std::size_t refunds_shown_max = 100;

struct Balance {
  std::string account;
  std::string kind;
  std::string title;
  std::string currency;  ///< "" when nothing was booked yet
  std::int64_t amount_minor = 0;
};

struct LedgerEntry {
  Uuid transaction;
  int line = 0;
  std::string account;
  std::int64_t amount_minor = 0;
  std::string currency;
  std::string kind;
  std::optional<PaymentId> payment;
  Instant created_at;
};

/// Where a page of ledger entries starts: before this line, newest transaction first.
struct LedgerPosition {
  Uuid transaction;
  int line = 0;
};

/// Which entries of the ledger, and from where on. Newest transaction first.
struct ListEntries {
  std::string account{};  ///< "": of every one
  std::optional<LedgerPosition> before{};
  std::size_t limit = 20;
  bool with_total = false;
};

struct EntryPage {
  std::vector<LedgerEntry> entries{};
  bool has_more = false;
  /// When it was asked for. Counted among the newest list_counted_max entries of the whole ledger:
  /// an account has no index, and a rare one must not cost a walk through everything.
  std::optional<ListTotal> total{};
};

/// A webhook of the provider.
struct ProviderEvent {
  std::string id;
  std::string type;
  std::string key;  ///< of the attempt or refund it tells of
  std::string body;
};

/// All the state of the service. Every method waits on the database and throws Unavailable when
/// that cannot be had in time.
class PaymentStore {
 public:
  virtual ~PaymentStore() = default;

  /// Stores payment and attempt of each order that is neither known nor closed, once per event.
  /// Returns which attempts were started and are leased to the caller for `lease`: at most
  /// `leased_max`, the others are due at once for whoever claims them.
  virtual Task<std::vector<AttemptId>> open(Context context, std::vector<PlacedOrder> orders,
                                            std::size_t leased_max,
                                            std::chrono::milliseconds lease) = 0;

  /// Leases attempts that are due, the most overdue first.
  virtual Task<std::vector<Charge>> claim_charges(Context context, std::size_t count_max,
                                                  std::chrono::milliseconds lease) = 0;

  /// Writes what became of attempts: attempt, payment, ledger and event of each in one transaction.
  /// What was written before stays as it is. Answers whether closing refunds came of it.
  virtual Task<bool> record_charges(Context context, std::vector<ChargeResult> results) = 0;

  /// Records the order as closed, once per event, and what follows from it (domain `close`).
  /// Answers whether there is now something for a worker to do.
  virtual Task<bool> close_order(Context context, Cancellation cancellation) = 0;

  /// Takes the amount and stores the refund, the key and its answer in one transaction.
  /// Errors: payment_not_found, those of domain `request_refund`, idempotency_key_reused.
  virtual Task<Result<Answer>> request_refund(Context context, RefundRequest request,
                                              RequestKey key, Answer answer) = 0;

  virtual Task<std::vector<RefundCall>> claim_refunds(Context context, std::size_t count_max,
                                                      std::chrono::milliseconds lease) = 0;
  /// Leases one refund whatever its due time. Empty when it is unknown or has ended.
  virtual Task<std::optional<RefundCall>> claim_refund(Context context, RefundId id,
                                                       std::chrono::milliseconds lease) = 0;

  /// The provider's word: refund, payment, ledger, event and, should the order be closed, the
  /// refund that follows. Nothing changes when it has ended before. Answers whether another refund
  /// follows at once.
  virtual Task<bool> record_refund(Context context, RefundCall call, RefundOutcome outcome) = 0;
  /// False when it has ended meanwhile: nothing was booked.
  virtual Task<bool> record_refund_by_hand(Context context, RefundCall call, std::string note) = 0;
  /// No word: `unknown`, due again at `retry_in`.
  virtual Task<> postpone_refund(Context context, RefundId id,
                                 std::chrono::milliseconds retry_in) = 0;

  /// Errors: payment_not_found, also for what the viewer may not see.
  virtual Task<Result<PaymentView>> find(Context context, PaymentId id, Viewer viewer) = 0;
  virtual Task<std::optional<PaymentView>> find_by_order(Context context, OrderId order,
                                                         Viewer viewer) = 0;
  /// For order-service, closed orders without an amount included.
  virtual Task<std::optional<Payment>> payment_of_order(Context context, OrderId order) = 0;

  virtual Task<std::vector<Balance>> balances(Context context) = 0;
  virtual Task<EntryPage> entries(Context context, ListEntries query) = 0;

  /// False when the event was stored before.
  virtual Task<bool> store_provider_event(Context context, ProviderEvent event) = 0;
  /// Makes due what stored events tell of and marks them done; returns how many were done.
  virtual Task<std::size_t> act_on_provider_events(Context context, std::size_t count_max) = 0;
};

/// The payment provider. Each call carries our key, so that a repeat is the same call. Throws
/// Unavailable when there is no answer, or one that settles nothing (5xx, a wrong key of ours).
class Provider {
 public:
  virtual ~Provider() = default;

  virtual Task<ChargeOutcome> charge(Context context, Charge charge) = 0;
  /// Empty when the provider does not know the key: no outcome, ever.
  virtual Task<std::optional<ChargeOutcome>> ask_charge(Context context, AttemptId key) = 0;
  /// Voids the key, known or not. Answers what stands: a capture is not undone by it.
  virtual Task<ChargeOutcome> void_charge(Context context, AttemptId key) = 0;

  virtual Task<RefundOutcome> refund(Context context, RefundCall call) = 0;
  virtual Task<std::optional<RefundOutcome>> ask_refund(Context context, RefundId key) = 0;
  /// Voids the key of a refund: what was done stays, what was not never will be (then empty).
  virtual Task<std::optional<RefundOutcome>> void_refund(Context context, RefundId key) = 0;
};

}  // namespace stoa::payment
