#include "services/payment-service/adapters/payment_json.hpp"

#include <optional>
#include <utility>

#include "servicekit/json/json.hpp"
#include "servicekit/json/list_total.hpp"
#include "servicekit/json/money.hpp"

namespace stoa::payment {
namespace {

constexpr std::size_t provider_text_max = 255;

struct RefundRequestJson {
  json::MoneyJson amount;
  std::string reason;
};

struct RefundJson {
  std::string id;
  std::string payment_id;
  std::string status;
  json::MoneyJson amount;
  std::string reason;
  std::optional<std::string> failure;
  std::string created_at;
};

struct PaymentJson {
  std::string id;
  std::string order_id;
  std::string status;
  json::MoneyJson amount;
  json::MoneyJson captured;
  json::MoneyJson refunded;
  json::MoneyJson refund_pending;
  std::optional<std::string> decline_reason;
  std::vector<RefundJson> refunds;
  std::string created_at;
  std::string updated_at;
};

struct PaymentListJson {
  std::vector<PaymentJson> data;
  bool has_more = false;
};

struct OrderStateJson {
  std::string state;
  std::optional<std::string> payment_id;
  std::optional<std::string> reason;
};

struct AccountJson {
  std::string account;
  std::string kind;
  std::string title;
  std::vector<json::MoneyJson> balances;
};

struct AccountListJson {
  std::vector<AccountJson> data;
  bool has_more = false;
};

struct EntryJson {
  std::string transaction_id;
  int line = 0;
  std::string account;
  json::MoneyJson amount;
  std::string kind;
  std::optional<std::string> payment_id;
  std::string created_at;
};

struct EntryListJson {
  std::vector<EntryJson> data;
  bool has_more = false;
  std::optional<json::ListTotalJson> total;
  std::optional<std::string> next_cursor;
};

struct ProviderEventDataJson {
  std::string key;
};

struct ProviderEventJson {
  std::string id;
  std::string type;
  ProviderEventDataJson data;
};

RefundJson refund_json(const RefundView& view) {
  RefundJson json{.id = view.refund.id.str(),
                  .payment_id = view.refund.payment.str(),
                  .status = std::string{name(view.refund.status)},
                  .amount = json::to_json(view.refund.amount),
                  .reason = view.reason,
                  .failure = std::nullopt,
                  .created_at = rfc3339(view.created_at)};
  if (view.refund.status == RefundStatus::failed) json.failure = view.failure;
  return json;
}

PaymentJson payment_json(const PaymentView& view) {
  const Payment& payment = view.payment;
  const Currency currency = payment.amount->currency();
  const auto money = [&](std::int64_t minor) { return json::to_json(Money{minor, currency}); };
  PaymentJson json{.id = payment.id.str(),
                   .order_id = payment.order.str(),
                   .status = std::string{public_status(payment)},
                   .amount = json::to_json(*payment.amount),
                   .captured = money(payment.captured_minor),
                   .refunded = money(payment.refunded_minor),
                   .refund_pending = money(payment.pending_minor),
                   .decline_reason = std::nullopt,
                   .refunds = {},
                   .created_at = rfc3339(view.created_at),
                   .updated_at = rfc3339(view.updated_at)};
  if (payment.status == PaymentStatus::declined) json.decline_reason = payment.decline_reason;
  for (const RefundView& refund : view.refunds) json.refunds.push_back(refund_json(refund));
  return json;
}

}  // namespace

Result<RefundBody> parse_refund_body(std::string_view body) {
  auto wire = json::read<RefundRequestJson>(body);
  if (!wire) return std::unexpected(std::move(wire.error()));
  std::vector<FieldError> fields;
  const auto amount = json::to_money(wire->amount, "/amount", fields);
  if (amount && amount->minor_units() <= 0) {
    fields.push_back({"/amount/amount", "out_of_range", "a refund gives something back"});
  }
  if (wire->reason.empty() || wire->reason.size() > reason_length_max) {
    fields.push_back({"/reason", "out_of_range", "1 to 500 bytes"});
  }
  if (!fields.empty()) {
    return refuse(ErrorKind::invalid, "invalid_body", "the refund cannot be accepted",
                  std::move(fields));
  }
  return RefundBody{.amount = *amount, .reason = std::move(wire->reason)};
}

std::string to_json(const PaymentView& view) { return json::write(payment_json(view)); }

std::string list_json(const std::vector<PaymentView>& views) {
  PaymentListJson list;
  for (const PaymentView& view : views) list.data.push_back(payment_json(view));
  return json::write(list);
}

std::string accepted_refund_json(const RefundRequest& request, Instant now) {
  return json::write(RefundJson{.id = request.id.str(),
                                .payment_id = request.payment.str(),
                                .status = std::string{name(RefundStatus::pending)},
                                .amount = json::to_json(request.amount),
                                .reason = request.reason,
                                .failure = std::nullopt,
                                .created_at = rfc3339(now)});
}

std::string order_state_json(const std::optional<Payment>& payment) {
  OrderStateJson json;
  json.state = payment ? std::string{state_for_order(*payment)} : "none";
  if (payment && payment->amount) json.payment_id = payment->id.str();
  if (payment && payment->status == PaymentStatus::declined) json.reason = payment->decline_reason;
  return json::write(json);
}

std::string accounts_json(const std::vector<Balance>& balances) {
  AccountListJson list;
  for (const Balance& balance : balances) {
    if (list.data.empty() || list.data.back().account != balance.account) {
      list.data.push_back({.account = balance.account,
                           .kind = balance.kind,
                           .title = balance.title,
                           .balances = {}});
    }
    if (balance.currency.empty()) continue;
    list.data.back().balances.push_back(
        {.amount = balance.amount_minor, .currency = balance.currency});
  }
  return json::write(list);
}

std::string entries_json(const EntryPage& page, const std::string& next_cursor) {
  EntryListJson list{.data = {},
                     .has_more = page.has_more,
                     .total = json::to_json(page.total),
                     .next_cursor = std::nullopt};
  for (const LedgerEntry& entry : page.entries) {
    EntryJson json{.transaction_id = entry.transaction.str(),
                   .line = entry.line,
                   .account = entry.account,
                   .amount = {.amount = entry.amount_minor, .currency = entry.currency},
                   .kind = entry.kind,
                   .payment_id = std::nullopt,
                   .created_at = rfc3339(entry.created_at)};
    if (entry.payment) json.payment_id = entry.payment->str();
    list.data.push_back(std::move(json));
  }
  if (list.has_more) list.next_cursor = next_cursor;
  return json::write(list);
}

Result<ProviderEvent> parse_provider_event(std::string_view body) {
  auto wire = json::read_lenient<ProviderEventJson>(body);
  if (!wire) return std::unexpected(std::move(wire.error()));
  std::vector<FieldError> fields;
  const auto check = [&](const std::string& text, std::string pointer) {
    if (!text.empty() && text.size() <= provider_text_max) return;
    fields.push_back({std::move(pointer), "out_of_range", "1 to 255 bytes"});
  };
  check(wire->id, "/id");
  check(wire->type, "/type");
  check(wire->data.key, "/data/key");
  if (!fields.empty()) {
    return refuse(ErrorKind::invalid, "invalid_body", "this is no event of the provider",
                  std::move(fields));
  }
  return ProviderEvent{.id = std::move(wire->id),
                       .type = std::move(wire->type),
                       .key = std::move(wire->data.key),
                       .body = std::string{body}};
}

}  // namespace stoa::payment
