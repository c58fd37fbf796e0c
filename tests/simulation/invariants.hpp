#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "services/order-service/domain/order.hpp"

namespace stoa::simulation {

class World;

/// What must hold after every step, and what must hold once nothing is under way any more. Tells
/// the room of the first that does not.
class Invariants {
 public:
  explicit Invariants(World& world) : world_{world} {}

  void after_step();
  void at_rest();
  /// Nothing is left to do: every order settled, nothing on its way, no stock held.
  bool rests() const;
  /// What is left to do, for a person.
  std::string unfinished() const;

 private:
  void check_shelves();
  void check_reservations();
  void check_orders();
  void check_keys();
  void check_money_of(const order::Order& order);
  void check_payments();
  void check_ledger();
  void violated(std::string_view invariant, std::string detail);

  World& world_;
  struct Seen {
    order::Status status;
    std::int64_t version;
  };
  std::map<OrderId, Seen> seen_;
  std::size_t entries_seen_ = 0;
};

}  // namespace stoa::simulation
