#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/clients.hpp"
#include "tests/simulation/invariants.hpp"
#include "tests/simulation/replicas.hpp"

namespace stoa::simulation {

/// What a run came to.
struct Outcome {
  std::uint64_t steps = 0;  ///< events: a message, an answer, a transaction, a timer, a fault
  std::size_t orders = 0;
  std::size_t captures = 0;
  std::size_t refunds = 0;
  std::array<std::uint64_t, fault_count> faults{};
  std::vector<std::uint32_t> fault_numbers{};
  milliseconds virtual_time{0};
  std::optional<Violation> violation{};

  friend bool operator==(const Outcome& a, const Outcome& b);
};

/// The whole shop, small: two replicas of each service over their databases, broker, provider,
/// clients, and the weather.
class World {
 public:
  static constexpr std::size_t replica_count = 2;

  explicit World(const Schedule& schedule);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  /// Once: until something is violated, or until nothing is left to do.
  Outcome run();

  Room& room() { return room_; }
  Broker& broker() { return broker_; }
  Provider& provider() { return provider_; }
  OrderDatabase& orders() { return order_database_; }
  PaymentDatabase& payments() { return payment_database_; }
  StockDatabase& stock() { return stock_database_; }
  Clients& clients() { return clients_; }

  std::size_t any_replica() { return room_.chance().below(Stream::network, replica_count); }
  OrderReplica& order(std::size_t replica) { return *orders_[replica]; }
  PaymentReplica& payment(std::size_t replica) { return *payments_[replica]; }
  ProductReplica& product(std::size_t replica) { return *products_[replica]; }
  ProcessId order_process(std::size_t replica) const { return order_processes_[replica]; }
  ProcessId payment_process(std::size_t replica) const { return payment_processes_[replica]; }
  ProcessId product_process(std::size_t replica) const { return product_processes_[replica]; }

 private:
  template <class Replica>
  using Replicas = std::array<std::unique_ptr<Replica>, replica_count>;
  using Processes = std::array<ProcessId, replica_count>;

  template <class Replica>
  void add(Replicas<Replica>& replicas, Processes& processes);
  void deliver_webhook(const payment::ProviderEvent& event);
  void weather();
  ProcessId any_process();
  void any_database_away(milliseconds duration);
  void any_clock_jumps(milliseconds by);
  Outcome outcome(std::uint64_t steps);

  Schedule schedule_;
  Room room_{schedule_};
  Broker broker_{room_};
  OrderDatabase order_database_{room_};
  PaymentDatabase payment_database_{room_};
  StockDatabase stock_database_{room_};
  Provider provider_;
  Replicas<OrderReplica> orders_;
  Replicas<PaymentReplica> payments_;
  Replicas<ProductReplica> products_;
  Processes order_processes_{};
  Processes payment_processes_{};
  Processes product_processes_{};
  Clients clients_;
  Invariants invariants_{*this};
};

/// One run of the schedule.
Outcome run(const Schedule& schedule);

}  // namespace stoa::simulation
