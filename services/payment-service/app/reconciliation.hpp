#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "servicekit/async/context.hpp"
#include "servicekit/async/task.hpp"

#include "services/payment-service/domain/payment.hpp"
#include "services/payment-service/domain/reconciliation.hpp"

namespace stoa::payment {

struct StatementPage {
  std::vector<StatementLine> lines;
  bool has_more = false;
};

/// The provider's account of our money.
class ProviderStatement {
 public:
  virtual ~ProviderStatement() = default;

  /// The lines that follow number `after`, in order. Throws Unavailable.
  virtual Task<StatementPage> page(Context context, std::int64_t after) = 0;

  /// Gives a whole capture back under `key`; false when the provider refuses. Throws Unavailable.
  virtual Task<bool> refund_unexplained(Context context, StatementLine line, RefundId key) = 0;
};

/// Our account of the same.
class CashBook {
 public:
  virtual ~CashBook() = default;

  /// Entries of the cash account after `after` in the order of their transactions, at most
  /// `count_max`. Throws Unavailable.
  virtual Task<std::vector<CashEntry>> cash_entries(Context context, Uuid after,
                                                    std::size_t count_max) = 0;

  /// Which of these need no explanation now: an attempt or refund that has not ended, so that what
  /// the provider did for it is on its way, or one that is booked by now. Throws Unavailable.
  virtual Task<std::vector<Uuid>> accounted_for(Context context,
                                                std::vector<Uuid> transactions) = 0;

  /// Books an unexplained capture and the refund that took it back, once. Throws Unavailable.
  virtual Task<> book_unexplained(Context context, StatementLine line, Uuid capture,
                                  Uuid refund) = 0;
};

struct ReconcileReport {
  std::size_t lines = 0;
  std::size_t entries = 0;
  std::size_t in_flight = 0;  ///< that differed for a moment only
  std::vector<Difference> differences{};
  std::size_t repaired = 0;  ///< of the differences
};

/// Compares our cash account with the provider's statement, line by line, while both go on.
class Reconciliation {
 public:
  Reconciliation(ProviderStatement& statement, CashBook& book,
                 std::function<Uuid(std::string_view)> name_based_uuid)
      : statement_{statement}, book_{book}, name_based_uuid_{std::move(name_based_uuid)} {}

  /// With `repair`, a capture that we cannot explain is given back and booked. Every page waits at
  /// most `page_timeout`. Throws Unavailable.
  struct Options {
    bool repair = false;
    std::chrono::milliseconds page_timeout{10'000};
  };
  Task<ReconcileReport> run(Options options);

 private:
  Task<std::vector<StatementLine>> read_statement(std::chrono::milliseconds timeout);
  Task<std::vector<CashEntry>> read_book(std::chrono::milliseconds timeout);
  Task<ReconcileReport> without_movement(ReconcileReport report, std::int64_t last_line,
                                         std::chrono::milliseconds timeout);
  Task<bool> repair(Difference difference, std::chrono::milliseconds timeout);

  ProviderStatement& statement_;
  CashBook& book_;
  std::function<Uuid(std::string_view)> name_based_uuid_;
};

}  // namespace stoa::payment
