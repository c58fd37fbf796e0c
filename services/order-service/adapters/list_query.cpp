#include "services/order-service/adapters/list_query.hpp"

#include <algorithm>
#include <format>
#include <ranges>
#include <vector>

#include "servicekit/http/list_total.hpp"

namespace stoa::order {
namespace {

constexpr std::int64_t page_default = 20;
constexpr std::int64_t page_max = 100;

std::unexpected<Error> bad_parameter(std::string detail) {
  return refuse(ErrorKind::malformed, "bad_parameter", std::move(detail));
}

Result<std::vector<Status>> parse_statuses(std::optional<std::string_view> text) {
  std::vector<Status> statuses;
  if (!text) return statuses;
  for (const auto part : std::views::split(*text, ',')) {
    const auto status = parse_status(std::string_view{part});
    if (!status) return bad_parameter("status is a list of states of an order");
    statuses.push_back(*status);
  }
  // One form for each set: a cursor is bound to the filter, not to its spelling.
  std::ranges::sort(statuses);
  const auto repeated = std::ranges::unique(statuses);
  statuses.erase(repeated.begin(), repeated.end());
  return statuses;
}

std::string joined(const std::vector<Status>& statuses) {
  std::string text;
  for (const Status status : statuses) {
    if (!text.empty()) text += ',';
    text += name(status);
  }
  return text;
}

Result<bool> parse_oldest_first(std::optional<std::string_view> sort) {
  if (!sort || *sort == "-created_at") return false;
  if (*sort == "created_at") return true;
  return bad_parameter("sort is created_at or -created_at");
}

}  // namespace

Result<WantedList> parse_list_query(const http::Request& request, std::optional<UserId> customer,
                                    const Cursors& cursors) {
  std::vector<std::string_view> known{"limit", "cursor", "sort", "status", http::include_total};
  const bool for_staff = !customer.has_value();
  if (for_staff) known.emplace_back("customer_id");
  const auto parameters = http::QueryString::parse(request, known);
  if (!parameters) return std::unexpected(parameters.error());

  const auto limit = parameters->number("limit", 1, page_max);
  if (!limit) return std::unexpected(limit.error());
  auto statuses = parse_statuses(parameters->text("status"));
  if (!statuses) return std::unexpected(std::move(statuses.error()));
  const auto oldest_first = parse_oldest_first(parameters->text("sort"));
  if (!oldest_first) return std::unexpected(oldest_first.error());
  const auto total = http::wants_total(*parameters);
  if (!total) return std::unexpected(total.error());
  if (for_staff) {
    if (const auto text = parameters->text("customer_id")) {
      customer = UserId::parse(*text);
      if (!customer) return bad_parameter("customer_id is the id of a user: usr_…");
    }
  }

  const std::int64_t page = limit->value_or(page_default);
  const std::string filters = std::format("sort={}created_at{}{}", *oldest_first ? "" : "-",
                                          statuses->empty() ? "" : "&status=", joined(*statuses)) +
                              (for_staff && customer ? "&customer_id=" + customer->str() : "");
  WantedList wanted{.query = {.customer = customer,
                              .statuses = std::move(*statuses),
                              .oldest_first = *oldest_first,
                              .after = std::nullopt,
                              .limit = static_cast<std::size_t>(page),
                              .with_total = *total},
                    .list = (for_staff ? "all?" : customer->str() + "?") + filters,
                    .target = std::format("{}?limit={}&{}{}", request.path(), page, filters,
                                          *total ? "&include_total=estimate" : "")};
  if (const auto cursor = parameters->text("cursor")) {
    const auto after = cursors.read(*cursor, wanted.list);
    if (!after) return std::unexpected(after.error());
    wanted.query.after = *after;
  }
  return wanted;
}

std::string next_target(const WantedList& wanted, std::string_view cursor) {
  return std::format("{}&cursor={}", wanted.target, cursor);
}

}  // namespace stoa::order
