#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/order-service/app/ports.hpp"
#include "tests/simulation/database.hpp"

namespace stoa::simulation {

inline constexpr order::Patience order_patience{.pending = std::chrono::seconds{10},
                                                .cancelling = std::chrono::seconds{3},
                                                .lease = std::chrono::seconds{2}};

/// What order-service has on disk. The rules are those of domain/order.
class OrderDatabase : public Database {
 public:
  struct Row {
    order::Order order;
    std::optional<milliseconds> check_at{};
    Uuid awaited_event{};
    bool relay_was_late = false;
  };
  struct Claim {
    order::Origin origin;
    std::optional<OrderId> order;
  };

  using Database::Database;

  Result<order::KeyState> look_up(const order::IdempotencyKey& key);
  Result<std::optional<order::Answer>> first_answer(const order::IdempotencyKey& key) const;
  bool insert_if_first(order::NewOrder placed);
  /// Under Defect::key_outside_transaction.
  void store_key(const order::IdempotencyKey& key, order::Answer answer);
  order::Claim abandon(ReservationId id, order::Origin origin);
  std::optional<order::Order> find(OrderId id) const;
  bool store_cancelling(const order::Order& order, const std::optional<order::IdempotencyKey>& key,
                        order::Answer answer);
  std::vector<order::Effect> apply(const std::vector<order::PaymentFact>& facts);
  std::vector<order::Overdue> claim_overdue(std::size_t limit);
  void repeat_cancel_request(const order::Overdue& order);

  const std::map<OrderId, Row>& rows() const { return rows_; }
  const std::map<ReservationId, Claim>& claims() const { return claims_; }

 private:
  order::Effect apply_one(const order::PaymentFact& fact);
  std::optional<order::Status> next_status(order::Status status, order::PaymentResult result);
  Uuid tell_of(const Row& row, EventType type, std::string token = "");

  std::map<OrderId, Row> rows_;
  std::map<order::Origin, std::pair<std::string, order::Answer>> keys_;
  std::map<ReservationId, Claim> claims_;
  std::int64_t numbers_ = 0;
};

}  // namespace stoa::simulation
