#include "tests/simulation/schedule.hpp"

#include <charconv>
#include <format>
#include <ranges>
#include <utility>

namespace stoa::simulation {
namespace {

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Purchase> parse_purchase(std::string_view text) {
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto client = number<int>(text.substr(0, dot));
  const auto which = number<int>(text.substr(dot + 1));
  if (!client || !which) return std::nullopt;
  return Purchase{.client = *client, .number = *which};
}

std::string text_of(const Purchase& purchase) {
  return std::format("{}.{}", purchase.client, purchase.number);
}

std::string text_of(std::uint32_t fault) { return std::to_string(fault); }

template <class Item>
std::string list_of(const std::set<Item>& items) {
  std::string list;
  for (const Item& item : items) list += (list.empty() ? "" : ",") + text_of(item);
  return list.empty() ? "-" : list;
}

template <class Item, class Parse>
std::optional<std::set<Item>> parse_list(std::string_view text, Parse parse) {
  std::set<Item> items;
  if (text == "-") return items;
  for (const auto part : std::views::split(text, ',')) {
    const std::optional<Item> item = parse(std::string_view{part});
    if (!item) return std::nullopt;
    items.insert(*item);
  }
  return items;
}

bool read_member(Schedule& schedule, std::string_view member, std::string_view value) {
  if (member == "seed") {
    const auto seed = number<std::uint64_t>(value);
    schedule.seed = seed.value_or(0);
    return seed.has_value();
  }
  if (member == "defect") {
    schedule.defect = parse_defect(value);
    return schedule.defect.has_value();
  }
  if (member == "purchases") {
    schedule.purchases = parse_list<Purchase>(value, parse_purchase);
    return schedule.purchases.has_value();
  }
  if (member == "faults") {
    schedule.faults = parse_list<std::uint32_t>(value, number<std::uint32_t>);
    return schedule.faults.has_value();
  }
  return false;
}

}  // namespace

std::string_view name(Defect defect) {
  switch (defect) {
    case Defect::inbox_off:
      return "inbox_off";
    case Defect::transition_without_guard:
      return "transition_without_guard";
    case Defect::settlement_without_guard:
      return "settlement_without_guard";
    case Defect::attempt_key_changed:
      return "attempt_key_changed";
    case Defect::refund_key_changed:
      return "refund_key_changed";
    case Defect::not_found_is_declined:
      return "not_found_is_declined";
    case Defect::started_attempt_forgotten:
      return "started_attempt_forgotten";
    case Defect::late_capture_kept:
      return "late_capture_kept";
    case Defect::early_cancel_forgotten:
      return "early_cancel_forgotten";
    case Defect::refund_without_cap:
      return "refund_without_cap";
    case Defect::reserve_reads_then_writes:
      return "reserve_reads_then_writes";
    case Defect::expiry_without_order_check:
      return "expiry_without_order_check";
    case Defect::tombstone_ignored:
      return "tombstone_ignored";
    case Defect::key_outside_transaction:
      return "key_outside_transaction";
    case Defect::outbox_outside_transaction:
      return "outbox_outside_transaction";
    case Defect::relay_deletes_before_confirm:
      return "relay_deletes_before_confirm";
    case Defect::ack_before_commit:
      return "ack_before_commit";
  }
  std::unreachable();
}

std::optional<Defect> parse_defect(std::string_view wanted) {
  for (const Defect defect : all_defects) {
    if (name(defect) == wanted) return defect;
  }
  return std::nullopt;
}

std::string text(const Schedule& schedule) {
  std::string line = std::format("seed={}", schedule.seed);
  if (schedule.defect) line += std::format(" defect={}", name(*schedule.defect));
  if (schedule.purchases) line += " purchases=" + list_of(*schedule.purchases);
  if (schedule.faults) line += " faults=" + list_of(*schedule.faults);
  return line;
}

std::optional<Schedule> parse_schedule(std::string_view line) {
  line = line.substr(0, line.find('#'));
  Schedule schedule;
  bool has_seed = false;
  for (const auto part : std::views::split(line, ' ')) {
    const std::string_view word{part};
    if (word.empty()) continue;
    const auto equals = word.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view member = word.substr(0, equals);
    if (!read_member(schedule, member, word.substr(equals + 1))) return std::nullopt;
    has_seed = has_seed || member == "seed";
  }
  if (!has_seed) return std::nullopt;
  return schedule;
}

}  // namespace stoa::simulation
