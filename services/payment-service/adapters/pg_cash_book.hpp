#pragma once

#include <vector>

#include "servicekit/postgres/database.hpp"

#include "services/payment-service/app/reconciliation.hpp"

namespace stoa::payment {

/// Our cash account in PostgreSQL.
class PgCashBook final : public CashBook {
 public:
  explicit PgCashBook(postgres::Database& database) : database_{database} {}

  Task<std::vector<CashEntry>> cash_entries(Context context, Uuid after,
                                            std::size_t count_max) override;
  Task<std::vector<Uuid>> accounted_for(Context context, std::vector<Uuid> transactions) override;
  Task<> book_unexplained(Context context, StatementLine line, Uuid capture, Uuid refund) override;

 private:
  postgres::Database& database_;
};

}  // namespace stoa::payment
