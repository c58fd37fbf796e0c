#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/payment-service/app/ports.hpp"
#include "services/payment-service/domain/reconciliation.hpp"
#include "tests/simulation/room.hpp"

namespace stoa::simulation {

/// How a payment method behaves (tools/payment-simulator has the same).
inline constexpr std::string_view token_ok = "tok_ok";
inline constexpr std::string_view token_declined = "tok_declined";
inline constexpr std::string_view token_silent = "tok_timeout_after_capture";
inline constexpr std::string_view token_error_then_ok = "tok_error_then_ok";
inline constexpr std::string_view token_refund_fails_once = "tok_refund_fails_once";
inline constexpr std::string_view token_refund_silent = "tok_refund_timeout";

/// A payment provider as the world has them: it keeps its word for each key, for ever, and trusts
/// its client with everything else. What it does wrong is to be away, silent and repetitive.
class Provider {
 public:
  /// Of one order of ours, as its statement has it.
  struct Moved {
    int captures = 0;
    std::int64_t captured_minor = 0;
    std::int64_t refunded_minor = 0;
  };
  using Notify = std::function<void(payment::ProviderEvent)>;

  Provider(Room& room, Notify notify);

  ProcessId process() const { return process_; }
  void go_away(milliseconds duration) { away_until_ = room_.engine().now() + duration; }

  Task<payment::ChargeOutcome> charge(payment::Charge charge, AttemptId key);
  /// Wrapped, because a coroutine's empty answer is an answer.
  struct Known {
    std::optional<payment::ChargeOutcome> outcome;
  };
  Task<Known> ask_charge(AttemptId key);
  Task<payment::ChargeOutcome> void_charge(AttemptId key);
  Task<payment::RefundOutcome> refund(payment::RefundCall call, RefundId key);
  struct KnownRefund {
    std::optional<payment::RefundOutcome> outcome;
  };
  Task<KnownRefund> ask_refund(RefundId key);

  Moved moved(OrderId order) const;
  const std::map<OrderId, Moved>& all_moved() const { return moved_; }
  const std::vector<payment::StatementLine>& statement() const { return statement_; }
  /// What the key moved; 0 when nothing.
  std::int64_t moved_by(const Uuid& key) const;

 private:
  void answer_or_throw() const;
  void write(std::string kind, const Uuid& uuid, std::string key, Money amount);
  void announce(std::string type, std::string key);

  Room& room_;
  Notify notify_;
  ProcessId process_;
  std::map<AttemptId, payment::ChargeOutcome> charges_;
  std::map<RefundId, payment::RefundOutcome> refunds_;
  std::map<OrderId, Moved> moved_;
  std::map<OrderId, std::string> tokens_;
  std::map<OrderId, int> errors_;
  std::map<Uuid, std::int64_t> by_key_;
  std::vector<payment::StatementLine> statement_;
  milliseconds away_until_{0};
};

}  // namespace stoa::simulation
