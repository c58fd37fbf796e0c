#include "tools/payment-simulator/api.hpp"

#include <algorithm>
#include <format>
#include <stdexcept>
#include <utility>

#include "servicekit/async/loops.hpp"
#include "servicekit/core/currency.hpp"
#include "servicekit/core/money.hpp"
#include "servicekit/core/time.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/json/json.hpp"

namespace stoa::simulator {
namespace {

constexpr std::string_view merchant = "merchant";
constexpr std::size_t key_length_max = 255;
constexpr std::int64_t page_max = 1'000;
constexpr std::int64_t page_default = 200;
// Above the longest stall, so that a withheld answer is withheld and not a 503.
constexpr std::chrono::milliseconds route_deadline{60'000};

struct PayBody {
  std::int64_t amount = 0;
  std::string currency;
  std::string token;
  bool capture = false;
  std::optional<std::string> reference;
};

struct CaptureBody {
  std::optional<std::int64_t> amount;
};

struct RefundBody {
  std::int64_t amount = 0;
  std::optional<std::string> reason;
};

struct PaymentView {
  std::string object;
  std::string id;
  std::string key;
  std::string status;
  std::int64_t amount = 0;
  std::string currency;
  std::int64_t captured = 0;
  std::int64_t refunded = 0;
  std::string reference;
  std::optional<std::string> decline_code;
};

struct RefundView {
  std::string object;
  std::string key;
  std::string payment_id;
  std::string status;
  std::int64_t amount = 0;
  std::string currency;
  std::optional<std::string> failure_code;
};

struct WithdrawnView {
  std::string object;
  std::string key;
  std::string status;
};

struct LineView {
  std::int64_t line = 0;
  std::string kind;
  std::string payment_id;
  std::string key;
  std::string reference;
  std::int64_t amount = 0;
  std::string currency;
  std::string at;
};

struct StatementView {
  std::vector<LineView> data;
  bool has_more = false;
};

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::optional<std::string> if_any(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional{text};
}

std::string view_of(const Payment& payment) {
  return json::write(PaymentView{.object = "payment",
                                 .id = payment.id,
                                 .key = payment.key,
                                 .status = std::string{name(payment.status)},
                                 .amount = payment.amount,
                                 .currency = payment.currency,
                                 .captured = payment.captured,
                                 .refunded = payment.refunded,
                                 .reference = payment.reference,
                                 .decline_code = if_any(payment.decline_code)});
}

std::string view_of(const std::string& key, const Entry& entry) {
  switch (entry.kind) {
    case Entry::Kind::payment:
    case Entry::Kind::capture:
      return view_of(*entry.payment);
    case Entry::Kind::refund:
      return json::write(RefundView{.object = "refund",
                                    .key = key,
                                    .payment_id = entry.payment->id,
                                    .status = entry.status,
                                    .amount = entry.amount,
                                    .currency = entry.payment->currency,
                                    .failure_code = if_any(entry.code)});
    case Entry::Kind::erred:
    case Entry::Kind::withdrawn:
      break;
  }
  return json::write(WithdrawnView{.object = "void", .key = key, .status = "voided"});
}

Result<std::string> key_of(const http::Request& request) {
  const std::string_view key = request.header("idempotency-key");
  if (key.empty() || key.size() > key_length_max) {
    return refuse(ErrorKind::malformed, "idempotency_key_required",
                  "send an Idempotency-Key of 1 to 255 characters");
  }
  return std::string{key};
}

Result<void> check_pay(const PayBody& body) {
  std::vector<FieldError> fields;
  if (body.amount <= 0 || body.amount > Money::wire_max) {
    fields.push_back({"/amount", "out_of_range", "1 to 2^53-1 minor units"});
  }
  if (!Currency::parse(body.currency)) {
    fields.push_back({"/currency", "unknown_currency", "an ISO 4217 code"});
  }
  if (fields.empty()) return {};
  return refuse(ErrorKind::invalid, "invalid_body", "the payment cannot be read",
                std::move(fields));
}

Error error_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::key_reused:
      return {ErrorKind::invalid, "idempotency_key_reused", "this key came with another request"};
    case Refusal::payment_unknown:
      return {ErrorKind::not_found, "provider_payment_not_found", "there is no such payment"};
    case Refusal::not_capturable:
      return {ErrorKind::conflict, "provider_not_capturable", "not authorised for that amount"};
    case Refusal::not_refundable:
      return {ErrorKind::conflict, "provider_not_refundable", "more than is left of the capture"};
  }
  std::unreachable();
}

LineView view_of(const StatementLine& line) {
  return {.line = line.line,
          .kind = line.kind,
          .payment_id = line.payment_id,
          .key = line.key,
          .reference = line.reference,
          .amount = line.amount,
          .currency = line.currency,
          .at = rfc3339(Instant{std::chrono::milliseconds{line.at_ms}})};
}

/// Whether the merchant learns something from the event: it does not when the answer of its own
/// request said so a moment ago.
bool worth_telling(const Record& record, Behaviour behaviour) {
  switch (behaviour) {
    case Behaviour::timeout_after_capture:
    case Behaviour::webhook_duplicate:
    case Behaviour::webhook_late:
    case Behaviour::webhook_reordered:
      return true;
    case Behaviour::refund_timeout:
      return record.verb == "refund";
    case Behaviour::ok:
    case Behaviour::declined:
    case Behaviour::insufficient_funds:
    case Behaviour::slow:
    case Behaviour::error_then_ok:
    case Behaviour::needs_3ds:
    case Behaviour::refund_fails_once:
    case Behaviour::refund_refused:
    case Behaviour::invalid:
      return false;
  }
  std::unreachable();
}

std::string event_type(const Record& record) {
  if (record.verb == "refund") return "refund." + record.status;
  return "payment." + record.status;
}

}  // namespace

std::string to_line(const Record& record) { return json::write(record); }

Record from_line(std::string_view line) {
  auto record = json::read<Record>(line);
  if (!record) throw std::runtime_error{"journal: " + record.error().detail};
  return std::move(*record);
}

Task<Result<http::Identity>> KeyHolder::authenticate(Context, std::string_view token) {
  if (!crypto::equal_constant_time(token, key_.reveal())) {
    co_return refuse(ErrorKind::unauthenticated, "token_invalid", "this is not the provider key");
  }
  http::Identity identity;
  identity.kind = http::Identity::Kind::service;
  identity.service = merchant;
  co_return identity;
}

void Api::mount(http::Router& router) {
  const http::RouteOptions slow{.deadline = route_deadline};
  const http::RouteOptions any_body{.content_type = "", .deadline = route_deadline};
  const auto access = http::from_services({merchant});
  router.post(
      "/v1/payments", access, [this](Context c, http::Request r) { return pay(c, r); }, slow);
  router.post(
      "/v1/payments/{id}/capture", access,
      [this](Context c, http::Request r) { return capture(c, r); }, slow);
  router.post(
      "/v1/payments/{id}/refunds", access,
      [this](Context c, http::Request r) { return refund(c, r); }, slow);
  router.post(
      "/v1/voids", access, [this](Context c, http::Request r) { return withdraw(c, r); }, any_body);
  router.get("/v1/outcomes/{key}", access,
             [this](Context c, http::Request r) { return outcome(c, r); });
  router.get("/v1/statement", access,
             [this](Context c, http::Request r) { return statement(c, r); });
}

Task<http::Response> Api::pay(Context, http::Request request) {
  auto key = key_of(request);
  if (!key) co_return http::problem(key.error());
  auto body = json::read<PayBody>(request.body());
  if (!body) co_return http::problem(body.error());
  const auto acceptable = check_pay(*body);
  if (!acceptable) co_return http::problem(acceptable.error());

  const PayRequest wanted{.key = *key,
                          .amount = body->amount,
                          .currency = std::move(body->currency),
                          .token = std::move(body->token),
                          .reference = std::move(body->reference).value_or(""),
                          .capture = body->capture};
  Decision decision = book_.pay(wanted, now_ms());
  http::Response response = co_await carry_out(std::move(*key), std::move(decision));
  co_return response;
}

Task<http::Response> Api::capture(Context, http::Request request) {
  auto key = key_of(request);
  if (!key) co_return http::problem(key.error());
  const auto body = json::read<CaptureBody>(request.body());
  if (!body) co_return http::problem(body.error());
  Decision decision = book_.capture(*key, request.param("id"), body->amount, now_ms());
  http::Response response = co_await carry_out(std::move(*key), std::move(decision));
  co_return response;
}

Task<http::Response> Api::refund(Context, http::Request request) {
  auto key = key_of(request);
  if (!key) co_return http::problem(key.error());
  const auto body = json::read<RefundBody>(request.body());
  if (!body) co_return http::problem(body.error());
  Decision decision = book_.refund(*key, request.param("id"), body->amount, now_ms());
  http::Response response = co_await carry_out(std::move(*key), std::move(decision));
  co_return response;
}

Task<http::Response> Api::withdraw(Context, http::Request request) {
  auto key = key_of(request);
  if (!key) co_return http::problem(key.error());
  Decision decision = book_.withdraw(*key, now_ms());
  http::Response response = co_await carry_out(std::move(*key), std::move(decision));
  co_return response;
}

Task<http::Response> Api::outcome(Context, http::Request request) {
  const std::string& key = request.param("key");
  const Entry* entry = book_.find(key);
  if (entry == nullptr || entry->kind == Entry::Kind::erred) {
    co_return http::problem(
        {ErrorKind::not_found, "provider_key_not_found", "nothing has happened under this key"});
  }
  http::Response response = co_await tell(key);
  co_return response;
}

Task<http::Response> Api::statement(Context, http::Request request) {
  const auto query = http::QueryString::parse(request, {"after", "limit"});
  if (!query) co_return http::problem(query.error());
  const auto after = query->number("after", 0, Money::wire_max);
  if (!after) co_return http::problem(after.error());
  const auto limit = query->number("limit", 1, page_max);
  if (!limit) co_return http::problem(limit.error());

  // A line that could still be lost must not be told.
  co_await journal_.durable(book_.sequence());
  const auto& lines = book_.statement();
  const auto count = static_cast<std::int64_t>(lines.size());
  const std::int64_t from = std::min(after->value_or(0), count);
  const std::int64_t to = std::min(from + limit->value_or(page_default), count);
  StatementView view{.data = {}, .has_more = to < count};
  for (std::int64_t i = from; i < to; ++i) {
    view.data.push_back(view_of(lines[static_cast<std::size_t>(i)]));
  }
  co_return http::ok(json::write(view));
}

Task<http::Response> Api::carry_out(std::string key, Decision decision) {
  if (decision.refusal) co_return http::problem(error_of(*decision.refusal));
  if (!decision.record) {
    http::Response repeated = co_await tell(std::move(key));
    co_return repeated;
  }
  const Record record = std::move(*decision.record);
  const std::uint64_t line = journal_.append(to_line(record));
  book_.apply(record);
  if (record.verb == "error") {
    co_await journal_.durable(line);
    co_return http::Response{.status = 500, .body = R"({"error":"try again"})"};
  }
  announce(record);
  http::Response response = co_await tell(std::move(key));

  const Payment* payment = book_.find_payment(record.payment);
  const Behaviour behaviour = payment == nullptr ? Behaviour::ok : behaviour_of(payment->token);
  const bool paying = record.verb == "pay";
  const bool withheld = (paying && behaviour == Behaviour::timeout_after_capture) ||
                        (record.verb == "refund" && behaviour == Behaviour::refund_timeout);
  if (withheld) co_await sleep_for(manner_.stall);
  if (paying && behaviour == Behaviour::slow) co_await sleep_for(manner_.slow);
  co_return response;
}

Task<http::Response> Api::tell(std::string key) {
  const Entry* entry = book_.find(key);
  http::Response response = http::ok(view_of(key, *entry));
  const std::uint64_t sequence = entry->sequence;
  co_await journal_.durable(sequence);
  co_return response;
}

void Api::announce(const Record& record) {
  if (webhooks_ == nullptr || record.payment.empty()) return;
  const Behaviour behaviour = behaviour_of(book_.find_payment(record.payment)->token);
  if (!manner_.every_event && !worth_telling(record, behaviour)) return;
  const Entry* entry = book_.find(record.key);
  Webhook webhook{.id = std::format("whk_{:012}", book_.sequence()),
                  .type = event_type(record),
                  .data = view_of(record.key, *entry)};
  if (record.verb == "pay") {
    if (behaviour == Behaviour::webhook_late) webhook.delay = manner_.webhook_late;
    if (behaviour == Behaviour::webhook_duplicate) webhooks_->send(webhook);
    if (behaviour == Behaviour::webhook_reordered && record.capture_at_once) {
      // The step before the capture, told after it.
      Webhook earlier = webhook;
      earlier.id += "_authorised";
      earlier.type = "payment.authorised";
      earlier.delay = manner_.webhook_late / 2;
      webhooks_->send(std::move(earlier));
    }
  }
  webhooks_->send(std::move(webhook));
}

}  // namespace stoa::simulator
