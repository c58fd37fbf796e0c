#include "services/payment-service/adapters/http_provider.hpp"

#include <format>
#include <utility>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/json/json.hpp"
#include "servicekit/runtime/crash_point.hpp"

namespace stoa::payment {
namespace {

constexpr std::int64_t statement_page = 500;
constexpr int status_ok = 200;
constexpr int status_not_found = 404;
constexpr int status_conflict = 409;

struct ChargeBody {
  std::int64_t amount = 0;
  std::string currency;
  std::string token;
  bool capture = false;
  std::string reference;
};

struct RefundBody {
  std::int64_t amount = 0;
};

/// Payment, refund and void alike: the members that matter to us.
struct StandingJson {
  std::string object;
  std::string status;
  std::optional<std::string> id;
  std::optional<std::string> decline_code;
  std::optional<std::string> failure_code;
};

struct ProblemJson {
  std::string code;
};

struct LineJson {
  std::int64_t line = 0;
  std::string kind;
  std::string payment_id;
  std::string key;
  std::int64_t amount = 0;
  std::string currency;
};

struct PageJson {
  std::vector<LineJson> data;
  bool has_more = false;
};

template <class T>
T parse(std::string_view body) {
  auto value = json::read_lenient<T>(body);
  if (!value) throw Unavailable{"the provider's answer cannot be read: " + value.error().detail};
  return std::move(*value);
}

std::string code_of(const http::ClientResponse& response) {
  const auto problem = json::read_lenient<ProblemJson>(response.body);
  return problem ? problem->code : "";
}

// A status that is no end (authorised, or one that a later version of the provider has) settles
// nothing: the attempt stays unknown and is asked for again.
ChargeOutcome charge_outcome(std::string_view body) {
  StandingJson standing = parse<StandingJson>(body);
  using Kind = ChargeOutcome::Kind;
  if (standing.status == "captured") {
    return {.kind = Kind::captured, .provider_payment = std::move(standing.id).value_or("")};
  }
  if (standing.status == "declined") {
    return {.kind = Kind::declined,
            .provider_payment = std::move(standing.id).value_or(""),
            .reason = std::move(standing.decline_code).value_or("declined")};
  }
  if (standing.status == "voided") {
    return {.kind = Kind::voided, .provider_payment = std::move(standing.id).value_or("")};
  }
  throw Unavailable{"the provider has not settled the payment: " + standing.status};
}

/// Empty for a refund whose key was made void before it was ever done.
std::optional<RefundOutcome> refund_outcome(std::string_view body) {
  StandingJson standing = parse<StandingJson>(body);
  using Kind = RefundOutcome::Kind;
  if (standing.status == "succeeded") return RefundOutcome{.kind = Kind::succeeded};
  if (standing.status == "failed") {
    return RefundOutcome{.kind = Kind::failed,
                         .failure = std::move(standing.failure_code).value_or("failed")};
  }
  if (standing.object == "void") return std::nullopt;
  throw Unavailable{"the provider has not settled the refund: " + standing.status};
}

RefundOutcome withdrawn() { return {.kind = RefundOutcome::Kind::failed, .failure = "key_voided"}; }

}  // namespace

Task<ChargeOutcome> HttpProvider::charge(Context context, Charge charge) {
  std::string body =
      json::write(ChargeBody{.amount = charge.amount.minor_units(),
                             .currency = std::string{charge.amount.currency().code()},
                             .token = std::move(charge.token),
                             .capture = true,
                             .reference = charge.order.str()});
  runtime::crash_point("payment.charge.before_call");
  const auto response = co_await post(std::move(context), "/v1/payments", charge.attempt.str(),
                                      std::move(body), false);
  runtime::crash_point("payment.charge.after_call");
  co_return charge_outcome(response.body);
}

Task<std::optional<ChargeOutcome>> HttpProvider::ask_charge(Context context, AttemptId key) {
  runtime::crash_point("payment.ask_charge.before_call");
  const auto body = co_await ask(std::move(context), key.str());
  runtime::crash_point("payment.ask_charge.after_call");
  if (!body) co_return std::nullopt;
  co_return charge_outcome(*body);
}

Task<ChargeOutcome> HttpProvider::void_charge(Context context, AttemptId key) {
  runtime::crash_point("payment.void_charge.before_call");
  const auto response = co_await post(std::move(context), "/v1/voids", key.str(), "", false);
  runtime::crash_point("payment.void_charge.after_call");
  co_return charge_outcome(response.body);
}

Task<RefundOutcome> HttpProvider::refund(Context context, RefundCall call) {
  std::string target = std::format("/v1/payments/{}/refunds", call.provider_payment);
  std::string body = json::write(RefundBody{.amount = call.refund.amount.minor_units()});
  runtime::crash_point("payment.refund.before_call");
  const auto response = co_await post(std::move(context), std::move(target), call.refund.id.str(),
                                      std::move(body), true);
  runtime::crash_point("payment.refund.after_call");
  if (response.status != status_ok) {
    co_return RefundOutcome{.kind = RefundOutcome::Kind::failed, .failure = code_of(response)};
  }
  auto outcome = refund_outcome(response.body);
  if (!outcome) co_return withdrawn();
  co_return std::move(*outcome);
}

Task<std::optional<RefundOutcome>> HttpProvider::ask_refund(Context context, RefundId key) {
  runtime::crash_point("payment.ask_refund.before_call");
  const auto body = co_await ask(std::move(context), key.str());
  runtime::crash_point("payment.ask_refund.after_call");
  if (!body) co_return std::nullopt;
  auto outcome = refund_outcome(*body);
  if (!outcome) co_return withdrawn();
  co_return outcome;
}

Task<std::optional<RefundOutcome>> HttpProvider::void_refund(Context context, RefundId key) {
  runtime::crash_point("payment.void_refund.before_call");
  const auto response = co_await post(std::move(context), "/v1/voids", key.str(), "", false);
  runtime::crash_point("payment.void_refund.after_call");
  co_return refund_outcome(response.body);
}

Task<StatementPage> HttpProvider::page(Context context, std::int64_t after) {
  http::ClientRequest request{
      .target = std::format("/v1/statement?after={}&limit={}", after, statement_page),
      .headers = headers("")};
  const auto response = co_await client_.send(std::move(context), std::move(request));
  if (response.status != status_ok) give_up(response, "statement");
  auto json = parse<PageJson>(response.body);
  StatementPage page{.lines = {}, .has_more = json.has_more};
  for (LineJson& line : json.data) {
    const auto currency = Currency::parse(line.currency);
    if (!currency) throw Unavailable{"the statement names no currency: " + line.currency};
    page.lines.push_back({.number = line.line,
                          .kind = std::move(line.kind),
                          .provider_payment = std::move(line.payment_id),
                          .key = std::move(line.key),
                          .amount = Money{line.amount, *currency}});
  }
  co_return page;
}

Task<bool> HttpProvider::refund_unexplained(Context context, StatementLine line, RefundId key) {
  std::string target = std::format("/v1/payments/{}/refunds", line.provider_payment);
  std::string body = json::write(RefundBody{.amount = line.amount.minor_units()});
  runtime::crash_point("payment.repair.before_call");
  const auto response =
      co_await post(std::move(context), std::move(target), key.str(), std::move(body), true);
  runtime::crash_point("payment.repair.after_call");
  if (response.status != status_ok) co_return false;
  const auto outcome = refund_outcome(response.body);
  co_return outcome && outcome->kind == RefundOutcome::Kind::succeeded;
}

Task<http::ClientResponse> HttpProvider::post(Context context, std::string target, std::string key,
                                              std::string body, bool refusable) {
  http::ClientRequest request{.method = http::Method::post,
                              .target = std::move(target),
                              .headers = headers(key),
                              .body = std::move(body),
                              .idempotent = true};
  http::ClientResponse response = co_await client_.send(std::move(context), std::move(request));
  const bool refused = response.status == status_not_found || response.status == status_conflict;
  if (response.status == status_ok || (refusable && refused)) co_return response;
  give_up(response, "call");
}

Task<std::optional<std::string>> HttpProvider::ask(Context context, std::string key) {
  http::ClientRequest request{.target = "/v1/outcomes/" + key, .headers = headers("")};
  http::ClientResponse response = co_await client_.send(std::move(context), std::move(request));
  if (response.status == status_ok) co_return std::move(response.body);
  // Not any 404: one of a proxy on the way would make us send the money twice over.
  const bool unknown =
      response.status == status_not_found && code_of(response) == "provider_key_not_found";
  if (!unknown) give_up(response, "status");
  co_return std::nullopt;
}

std::string HttpProvider::headers(std::string_view key) const {
  std::string lines = "authorization: Bearer " + key_.reveal() + "\r\n";
  if (!key.empty()) lines += std::format("idempotency-key: {}\r\n", key);
  return lines;
}

// Declined comes only from the provider's word: whatever else it says settles nothing. A 4xx means
// that we are wrong (a bad key of ours, a changed contract), and somebody must look.
void HttpProvider::give_up(const http::ClientResponse& response, std::string_view what) {
  const std::string code = code_of(response);
  if (response.status / 100 == 4) {
    telemetry_.error("provider_refused_us",
                     {{"detail", what}, {"status", std::int64_t{response.status}}, {"code", code}});
  }
  throw Unavailable{std::format("the provider answered {} to a {}", response.status, what)};
}

}  // namespace stoa::payment
