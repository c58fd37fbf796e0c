#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/payment-service/app/ports.hpp"
#include "services/payment-service/domain/reconciliation.hpp"
#include "tests/simulation/database.hpp"

namespace stoa::simulation {

/// What payment-service has on disk. Every change of money is decided by domain/payment; here it
/// is only carried out.
class PaymentDatabase : public Database {
 public:
  struct AttemptRow {
    payment::Charge charge;
    payment::AttemptStatus status = payment::AttemptStatus::started;
    milliseconds due_at{0};
  };
  struct RefundRow {
    payment::Refund refund;
    milliseconds due_at{0};
    int claims = 0;
  };
  struct Entry {
    Uuid transaction;
    payment::Entry entry;
  };

  using Database::Database;

  std::vector<AttemptId> open(const std::vector<payment::PlacedOrder>& orders,
                              std::size_t leased_max, milliseconds lease);
  std::vector<payment::Charge> claim_charges(std::size_t count_max, milliseconds lease);
  void postpone_charge(const payment::ChargeResult& result);
  /// Whether a closing refund came of it.
  bool record_charge(const payment::ChargeResult& result);
  bool close_order(const payment::Cancellation& cancellation);
  Result<payment::Answer> request_refund(const payment::RefundRequest& request,
                                         const payment::RequestKey& key,
                                         const payment::Answer& answer);
  std::vector<payment::RefundCall> claim_refunds(std::size_t count_max, milliseconds lease);
  bool record_refund(const payment::RefundCall& call, const payment::RefundOutcome& outcome);
  void postpone_refund(RefundId id, milliseconds retry_in);
  std::optional<payment::Payment> payment_of(OrderId order) const;
  bool store_provider_event(const payment::ProviderEvent& event);
  std::size_t act_on_provider_events();

  const std::map<OrderId, payment::Payment>& payments() const { return payments_; }
  const std::map<AttemptId, AttemptRow>& attempts() const { return attempts_; }
  const std::map<RefundId, RefundRow>& refunds() const { return refunds_; }
  const std::vector<Entry>& ledger() const { return ledger_; }

 private:
  payment::Payment& by_id(PaymentId id) { return payments_.at(orders_.at(id)); }
  void store(const payment::Change& change, const Uuid& transaction);
  void tell_of(const payment::Payment& payment, const payment::Happening& happening);
  payment::RefundCall take(RefundRow& row, milliseconds lease);

  std::map<OrderId, payment::Payment> payments_;
  std::map<PaymentId, OrderId> orders_;
  std::map<AttemptId, AttemptRow> attempts_;
  std::map<RefundId, RefundRow> refunds_;
  std::vector<Entry> ledger_;
  std::map<Uuid, std::pair<std::string, payment::Answer>> keys_;
  std::set<std::string> provider_events_;
  std::vector<std::string> open_provider_events_;
};

}  // namespace stoa::simulation
