#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/order-service/app/orders.hpp"
#include "tests/simulation/room.hpp"

namespace stoa::simulation {

class World;

/// What a client is going to do, drawn before anything happens, so that leaving out one purchase
/// leaves the others as they were.
struct Plan {
  Purchase purchase;
  milliseconds start{0};
  UserId buyer{};
  order::IdempotencyKey key;
  std::vector<order::WantedLine> lines{};
  std::string token;
  bool gives_up = false;     ///< when the first answer does not come, and never asks again
  bool twin = false;         ///< asks a second time, without waiting for the first answer
  bool other_lines = false;  ///< and then once more with the same key for something else
  struct Cancel {
    milliseconds after{0};
    std::optional<order::IdempotencyKey> key{};
  };
  std::optional<Cancel> cancel{};
  struct Refund {
    milliseconds after{0};
    Uuid key{};
    std::int64_t percent = 0;
    bool twin = false;
  };
  std::vector<Refund> refunds{};
};

/// Buyers and staff: they repeat what is not answered, some at once, some change their minds. They
/// notice when one key is answered in two ways.
class Clients {
 public:
  explicit Clients(World& world);

  void start();
  bool done() const { return busy_ == 0; }
  /// Orders that somebody was told of.
  const std::vector<OrderId>& told() const { return told_; }
  std::size_t refused() const { return refused_; }

 private:
  Plan drawn(Purchase purchase, UserId buyer);
  void begin(Task<> task);
  Task<> purchase(Plan plan);
  Task<> twin_of(Plan plan);
  Task<> reuse_key(Plan plan);
  Task<std::optional<OrderId>> place(Plan plan);
  Task<> cancel(Plan plan, OrderId order);
  Task<> refund(Plan plan, OrderId order, Plan::Refund wish);
  Task<> counted(Task<> task);
  Task<> impatience(int tries);
  std::optional<OrderId> noted(const Plan& plan, const Result<order::Answer>& answer);

  World& world_;
  ProcessId process_;
  std::vector<Plan> plans_;
  std::map<order::Origin, std::string> answers_;
  std::vector<OrderId> told_;
  std::size_t refused_ = 0;
  std::size_t busy_ = 0;
};

}  // namespace stoa::simulation
