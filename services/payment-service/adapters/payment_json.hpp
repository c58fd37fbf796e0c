#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/error.hpp"
#include "servicekit/core/time.hpp"

#include "services/payment-service/app/ports.hpp"

// The wire form of the HTTP API (contracts/http/payment-service.yaml): the only file that knows the
// names of its members.
namespace stoa::payment {

inline constexpr std::size_t reason_length_max = 500;

struct RefundBody {
  Money amount;
  std::string reason;
};
/// Errors: malformed_json, invalid_body (fields: out_of_range, unknown_currency, required, …).
Result<RefundBody> parse_refund_body(std::string_view body);

std::string to_json(const PaymentView& view);
std::string list_json(const std::vector<PaymentView>& views);

/// The 202: a refund as it was accepted.
std::string accepted_refund_json(const RefundRequest& request, Instant now);

std::string order_state_json(const std::optional<Payment>& payment);
std::string accounts_json(const std::vector<Balance>& balances);
/// `next_cursor` is "" on the last page.
std::string entries_json(const EntryPage& page, const std::string& next_cursor);

/// Errors: malformed_json, invalid_body.
Result<ProviderEvent> parse_provider_event(std::string_view body);

}  // namespace stoa::payment
