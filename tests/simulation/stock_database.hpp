#pragma once

#include <map>
#include <optional>
#include <vector>

#include "services/product-service/app/ports.hpp"
#include "tests/simulation/database.hpp"

namespace stoa::simulation {

inline constexpr std::size_t variant_count = 4;
inline constexpr milliseconds reservation_deadline{15'000};
inline constexpr milliseconds ask_again{3'000};

/// What product-service has on disk of stock and reservations.
class StockDatabase : public Database {
 public:
  struct Row {
    product::ReserveStock command;
    product::Reservation reservation{};
    product::ReservationState state = product::ReservationState::active;
    milliseconds check_at{0};
  };
  struct Shelf {
    product::StockLevel level;
    Money price;
    std::int64_t delivered = 0;  ///< what there was at first
    std::int64_t journal = 0;    ///< the sum of all movements since
  };
  /// What was seen when it was asked, and what may be taken for granted only in the same
  /// transaction.
  struct Facts {
    std::vector<product::LineFacts> lines;
    std::int64_t open_reservations = 0;
  };

  explicit StockDatabase(Room& room);

  Facts facts_of(const product::ReserveStock& command) const;
  /// Decides by `facts` and takes what was asked for.
  Result<product::Reserved> reserve(const product::ReserveStock& command, const Facts& facts);
  void settle(ReservationId id, product::Settlement settlement);
  product::SettledBatch settle_orders(const std::vector<product::SettledOrder>& orders);
  std::vector<product::OverdueReservation> claim_overdue();

  const std::map<ReservationId, Row>& rows() const { return rows_; }
  const std::map<VariantId, Shelf>& shelves() const { return shelves_; }
  std::vector<VariantId> variants() const;

 private:
  static Result<product::Reserved> repeat(const Row& row, const product::ReserveStock& command);
  product::ReservationState after(const Row& row, product::Settlement settlement) const;
  bool move(Row& row, product::Settlement settlement);

  std::map<ReservationId, Row> rows_;
  std::map<VariantId, Shelf> shelves_;
};

}  // namespace stoa::simulation
