#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

// What a run is made of. The same schedule gives the same run, step by step.
namespace stoa::simulation {

/// A mistake planted into the wiring around the rules, to see that it is noticed.
enum class Defect : std::uint8_t {
  inbox_off,                     ///< consumers do not remember what they have seen
  transition_without_guard,      ///< a payment's result moves an order whatever its status
  settlement_without_guard,      ///< stock moves whatever the reservation's state
  attempt_key_changed,           ///< a charge is repeated under a new key
  refund_key_changed,            ///< a refund is repeated under a new key
  not_found_is_declined,         ///< the provider's "not found" is taken for an outcome
  started_attempt_forgotten,     ///< an attempt that was never answered is not taken up again
  late_capture_kept,             ///< a capture of a closed order does not go back
  early_cancel_forgotten,        ///< an order that was cancelled before it was placed is charged
  refund_without_cap,            ///< more is given back than was captured
  reserve_reads_then_writes,     ///< stock is read in one transaction and taken in the next
  expiry_without_order_check,    ///< an overdue reservation is released without asking
  tombstone_ignored,             ///< an abandoned reservation is sold
  key_outside_transaction,       ///< the idempotency key is stored after the order
  outbox_outside_transaction,    ///< events are stored after the state that they tell
  relay_deletes_before_confirm,  ///< an event is forgotten before the broker has it
  ack_before_commit,             ///< a message is acknowledged before its effect is stored
};
inline constexpr std::array all_defects = {
    Defect::inbox_off,
    Defect::transition_without_guard,
    Defect::settlement_without_guard,
    Defect::attempt_key_changed,
    Defect::refund_key_changed,
    Defect::not_found_is_declined,
    Defect::started_attempt_forgotten,
    Defect::late_capture_kept,
    Defect::early_cancel_forgotten,
    Defect::refund_without_cap,
    Defect::reserve_reads_then_writes,
    Defect::expiry_without_order_check,
    Defect::tombstone_ignored,
    Defect::key_outside_transaction,
    Defect::outbox_outside_transaction,
    Defect::relay_deletes_before_confirm,
    Defect::ack_before_commit,
};
std::string_view name(Defect defect);
std::optional<Defect> parse_defect(std::string_view wanted);

/// The n-th purchase of a client, with all that follows from it.
struct Purchase {
  int client = 0;
  int number = 0;
  friend auto operator<=>(const Purchase&, const Purchase&) = default;
};
inline constexpr int client_count = 8;
inline constexpr int purchases_of_a_client = 4;

struct Schedule {
  std::uint64_t seed = 1;
  std::optional<Defect> defect{};
  std::optional<std::set<Purchase>> purchases{};    ///< empty: all of them
  std::optional<std::set<std::uint32_t>> faults{};  ///< by number as they strike; empty: all
  friend bool operator==(const Schedule&, const Schedule&) = default;
};

/// One line: "seed=7 defect=inbox_off purchases=0.1,3.0 faults=4,19"; what is not limited is left
/// out, and "-" is an empty list.
std::string text(const Schedule& schedule);
/// The inverse; what follows a '#' is a remark. Empty for anything else.
std::optional<Schedule> parse_schedule(std::string_view line);

}  // namespace stoa::simulation
