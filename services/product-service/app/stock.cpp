#include "services/product-service/app/stock.hpp"

#include <format>
#include <utility>

#include "servicekit/core/unavailable.hpp"

namespace stoa::product {
namespace {

constexpr int adjusting_rounds_max = 2;

}  // namespace

Task<Result<Answer>> Stock::adjust(Context context, Adjust command) {
  if (command.reason.empty() || !acceptable_text(command.reason, reason_bytes_max)) {
    co_return refuse(ErrorKind::invalid, "invalid_adjustment", "the adjustment breaks a rule",
                     {{"/reason", "out_of_range",
                       std::format("1 to {} bytes without control characters", reason_bytes_max)}});
  }
  for (int round = 0; round < adjusting_rounds_max; ++round) {
    if (command.key) {
      auto answered = co_await keys_.look_up(context, *command.key);
      if (!answered) co_return std::unexpected(std::move(answered.error()));
      if (*answered) co_return std::move(**answered);
    }
    AdjustStock adjustment{.variant = command.variant,
                           .delta = command.delta,
                           .reason = command.reason,
                           .actor = command.actor,
                           .event_id = sources_.next_uuid(),
                           .key = command.key,
                           .render = sources_.render};
    auto adjusted = co_await store_.adjust(context, std::move(adjustment));
    if (!adjusted) co_return std::unexpected(std::move(adjusted.error()));
    if (!adjusted->stale.empty()) co_await cache_.forget(context, std::move(adjusted->stale));
    if (adjusted->answer) co_return std::move(*adjusted->answer);
  }
  throw Unavailable{"the idempotency key is being used by a twin of this request"};
}

Task<Result<StockLevel>> Stock::level(Context context, VariantId id) {
  const auto level = co_await store_.level(std::move(context), id);
  if (!level)
    co_return refuse(ErrorKind::not_found, "variant_not_found", "there is no such variant");
  co_return *level;
}

Task<Result<MovementPage>> Stock::movements(Context context, ListMovements query) {
  co_return co_await store_.movements(std::move(context), query);
}

}  // namespace stoa::product
