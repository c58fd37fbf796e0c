#include "services/payment-service/adapters/http_api.hpp"

#include <chrono>
#include <format>
#include <string>
#include <utility>
#include <vector>

#include "servicekit/core/encoding.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/http/list_total.hpp"
#include "servicekit/postgres/idempotency.hpp"

#include "services/payment-service/adapters/payment_json.hpp"
#include "services/payment-service/adapters/webhook_signature.hpp"

namespace stoa::payment {
namespace {

constexpr std::int64_t page_default = 20;
constexpr std::int64_t page_max = 100;
constexpr std::size_t webhook_bytes_max = 64 * 1024;
constexpr std::string_view scope_read = "payments:read";
constexpr std::string_view scope_refund = "payments:refund";
constexpr int status_accepted = 202;
constexpr int status_not_modified = 304;

Viewer viewer_of(const http::Request& request) {
  const http::Identity& identity = request.identity();
  return {.user = identity.user, .sees_all = identity.may(scope_read)};
}

http::Response personal(std::string json) {
  http::Response response = http::ok(std::move(json));
  response.add_header("cache-control", "private, no-store");
  return response;
}

/// With a strong ETag over the body; 304 when the client has it.
http::Response tagged(const http::Request& request, std::string json) {
  const std::string tag = std::format("\"{}\"", hex(crypto::sha256(json)).substr(0, 32));
  if (request.header("if-none-match") == tag) {
    http::Response unchanged{.status = status_not_modified};
    unchanged.add_header("etag", tag);
    return unchanged;
  }
  http::Response response = personal(std::move(json));
  response.add_header("etag", tag);
  return response;
}

std::string caller_of(const http::Request& request) { return request.identity().user.str(); }

Instant wall_clock() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

std::string next_link(const std::string& cursor, const ListEntries& query) {
  std::string link = std::format("</api/v1/ledger/entries?limit={}&cursor={}", query.limit, cursor);
  if (!query.account.empty()) link += "&account=" + query.account;
  if (query.with_total) link += "&include_total=estimate";
  return link + ">; rel=\"next\"";
}

/// Names of accounts are plain; what is none of them has no entries and no place in a header.
bool plain_name(std::string_view text) {
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos;
}

}  // namespace

void HttpApi::mount(http::Router& router) {
  using Request = http::Request;
  router.get("/api/v1/payments", http::signed_in,
             [this](Context c, Request r) { return list(std::move(c), r); });
  router.get("/api/v1/payments/{id}", http::signed_in,
             [this](Context c, Request r) { return show(std::move(c), r); });
  router.post("/api/v1/payments/{id}/refunds", http::needs(scope_refund),
              [this](Context c, Request r) { return refund(std::move(c), r); });
  router.get("/api/v1/ledger/accounts", http::needs(scope_read),
             [this](Context c, Request r) { return accounts(std::move(c), r); });
  router.get("/api/v1/ledger/entries", http::needs(scope_read),
             [this](Context c, Request r) { return entries(std::move(c), r); });
  router.post("/api/v1/webhooks/psp", http::anyone,
              [this](Context c, Request r) { return webhook(std::move(c), r); },
              {.body_max = webhook_bytes_max});
  router.get("/internal/v1/orders/{id}/payment", http::from_services({"order-service"}),
             [this](Context c, Request r) { return state_of_order(std::move(c), r); });
}

Task<http::Response> HttpApi::list(Context context, http::Request request) {
  const auto query = http::QueryString::parse(request, {"order_id"});
  if (!query) co_return http::problem(query.error());
  const auto text = query->text("order_id");
  if (!text) {
    co_return http::problem(
        Error{ErrorKind::malformed, "bad_parameter", "order_id is needed: ord_…"});
  }
  std::vector<PaymentView> views;
  const auto order = OrderId::parse(*text);
  if (order) {
    auto view = co_await store_.find_by_order(std::move(context), *order, viewer_of(request));
    if (view) views.push_back(std::move(*view));
  }
  co_return personal(list_json(views));
}

Task<http::Response> HttpApi::show(Context context, http::Request request) {
  const auto id = http::id_param<PaymentId>(request, "id", "payment_not_found");
  if (!id) co_return http::problem(id.error());
  const auto view = co_await store_.find(std::move(context), *id, viewer_of(request));
  if (!view) co_return http::problem(view.error());
  co_return tagged(request, to_json(*view));
}

Task<http::Response> HttpApi::refund(Context context, http::Request request) {
  const auto id = http::id_param<PaymentId>(request, "id", "payment_not_found");
  if (!id) co_return http::problem(id.error());
  const auto key = postgres::idempotency_key(request, true);
  if (!key) co_return http::problem(key.error());
  auto body = parse_refund_body(request.body());
  if (!body) co_return http::problem(body.error());

  RefundRequest wanted{.id = {crypto::new_uuid()},
                       .payment = *id,
                       .amount = body->amount,
                       .reason = std::move(body->reason),
                       .requested_by = caller_of(request),
                       .traceparent = context.trace.traceparent()};
  const std::string location = "/api/v1/payments/" + id->str();
  Answer first{.status = status_accepted,
               .headers = "location: " + location + "\r\n",
               .body = accepted_refund_json(wanted, wall_clock())};
  RequestKey row_key{
      .origin = (*key)->origin, .caller = (*key)->caller, .fingerprint = (*key)->fingerprint};
  const auto answer = co_await refunds_.request(std::move(context), std::move(wanted),
                                                std::move(row_key), std::move(first));
  if (!answer) co_return http::problem(answer.error());
  http::Response response{
      .status = answer->status, .body = answer->body, .headers = answer->headers};
  if (answer->replayed) response.add_header("Idempotent-Replayed", "true");
  co_return response;
}

Task<http::Response> HttpApi::accounts(Context context, http::Request request) {
  const auto query = http::QueryString::parse(request, {});
  if (!query) co_return http::problem(query.error());
  const auto balances = co_await store_.balances(std::move(context));
  co_return personal(accounts_json(balances));
}

Task<http::Response> HttpApi::entries(Context context, http::Request request) {
  const auto query =
      http::QueryString::parse(request, {"account", "limit", "cursor", http::include_total});
  if (!query) co_return http::problem(query.error());
  const auto asked = query->number("limit", 1, page_max);
  if (!asked) co_return http::problem(asked.error());
  const auto total = http::wants_total(*query);
  if (!total) co_return http::problem(total.error());
  ListEntries wanted{.account = std::string{query->text("account").value_or("")},
                     .limit = static_cast<std::size_t>(asked->value_or(page_default)),
                     .with_total = *total};
  if (!plain_name(wanted.account)) {
    co_return http::problem(Error{ErrorKind::malformed, "bad_parameter", "account: no such name"});
  }
  if (const auto cursor = query->text("cursor")) {
    const auto position = cursors_.read(*cursor, wanted.account);
    if (!position) co_return http::problem(position.error());
    wanted.before = *position;
  }
  const EntryPage page = co_await store_.entries(std::move(context), wanted);
  std::string next;
  if (page.has_more) {
    const LedgerEntry& last = page.entries.back();
    next = cursors_.write({last.transaction, last.line}, wanted.account);
  }
  http::Response response = personal(entries_json(page, next));
  if (page.has_more) response.add_header("link", next_link(next, wanted));
  co_return response;
}

// Stored, then answered, then acted on: the provider need not wait for what follows.
Task<http::Response> HttpApi::webhook(Context context, http::Request request) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const auto genuine =
      verify_webhook(webhook_secret_, request.header("provider-signature"), request.body(), now);
  if (!genuine) co_return http::problem(genuine.error());
  auto event = parse_provider_event(request.body());
  if (!event) co_return http::problem(event.error());
  const bool fresh = co_await store_.store_provider_event(std::move(context), std::move(*event));
  if (fresh) provider_event_stored_();
  co_return http::no_content();
}

Task<http::Response> HttpApi::state_of_order(Context context, http::Request request) {
  const auto id = http::id_param<OrderId>(request, "id", "payment_not_found");
  if (!id) co_return http::problem(id.error());
  const auto payment = co_await store_.payment_of_order(std::move(context), *id);
  http::Response response = http::ok(order_state_json(payment));
  response.add_header("cache-control", "no-store");
  co_return response;
}

}  // namespace stoa::payment
