#include "services/order-service/adapters/http_api.hpp"

#include <format>
#include <utility>

#include "servicekit/json/json.hpp"
#include "servicekit/postgres/idempotency.hpp"

#include "services/order-service/adapters/list_query.hpp"
#include "services/order-service/adapters/order_json.hpp"

namespace stoa::order {
namespace {

constexpr std::string_view personal = "private, no-store";

http::Response to_response(const Answer& answer) {
  http::Response response{.status = answer.status, .body = answer.body, .headers = answer.headers};
  if (answer.replayed) response.add_header("idempotent-replayed", "true");
  return response;
}

Answer to_answer(http::Response response) {
  return {.status = response.status,
          .headers = std::move(response.headers),
          .body = std::move(response.body)};
}

std::string etag_of(const Order& order) { return std::format("\"{}\"", order.version); }

std::string path_of(const Order& order) { return "/api/v1/orders/" + order.id.str(); }

http::Response personal_ok(std::string body) {
  auto response = http::ok(std::move(body));
  response.add_header("cache-control", personal);
  return response;
}

Viewer viewer_of(const http::Request& request) {
  const auto& identity = request.identity();
  return {.user = identity.user,
          .reads_all = identity.may("orders:read_all"),
          .writes_all = identity.may("orders:write")};
}

Result<OrderId> order_id(const http::Request& request) {
  return http::id_param<OrderId>(request, "id", "order_not_found");
}

Result<std::optional<IdempotencyKey>> key_of(const http::Request& request, bool required) {
  auto key = postgres::idempotency_key(request, required);
  if (!key) return std::unexpected(std::move(key.error()));
  if (!*key) return std::nullopt;
  return IdempotencyKey{.caller = std::move((*key)->caller),
                        .origin = {(*key)->origin},
                        .fingerprint = std::move((*key)->fingerprint)};
}

// RFC 9110 section 13.1.2: a list of entity tags, or "*".
bool names_tag(std::string_view if_none_match, std::string_view tag) {
  return if_none_match == "*" || if_none_match.contains(tag);
}

struct AbandonJson {
  std::string origin;
};

struct ClaimJson {
  std::string state;
  std::optional<std::string> order_id;
  std::optional<std::string> order_status;
};

}  // namespace

Answer render_placed(const Order& order) {
  auto response = http::created(path_of(order), to_json(order));
  response.add_header("etag", etag_of(order));
  response.add_header("cache-control", personal);
  return to_answer(std::move(response));
}

Answer render_cancelling(const Order& order) {
  auto response = http::accepted(path_of(order), to_json(order));
  response.add_header("etag", etag_of(order));
  response.add_header("cache-control", personal);
  return to_answer(std::move(response));
}

void HttpApi::mount(http::Router& router) {
  using http::from_services;
  using http::needs;
  using http::signed_in;
  router.post("/api/v1/orders", signed_in, [this](Context context, http::Request request) {
    return create(std::move(context), request);
  });
  router.get("/api/v1/orders", signed_in, [this](Context context, http::Request request) {
    return list(std::move(context), request);
  });
  router.get("/api/v1/orders/{id}", signed_in, [this](Context context, http::Request request) {
    return show(std::move(context), request);
  });
  router.get("/api/v1/orders/{id}/events", signed_in,
             [this](Context context, http::Request request) {
               return history(std::move(context), request);
             });
  router.post("/api/v1/orders/{id}/cancel", signed_in,
              [this](Context context, http::Request request) {
                return cancel(std::move(context), request);
              });
  router.get("/api/v1/admin/orders", needs("orders:read_all"),
             [this](Context context, http::Request request) {
               return list_all(std::move(context), request);
             });
  router.post("/internal/v1/reservations/{id}/abandon", from_services({"product-service"}),
              [this](Context context, http::Request request) {
                return abandon(std::move(context), request);
              });
}

Task<http::Response> HttpApi::create(Context context, http::Request request) {
  auto key = key_of(request, true);
  if (!key) co_return http::problem(key.error());
  auto command = parse_place_order(request.body());
  if (!command) co_return http::problem(command.error());
  command->customer = request.identity().user;
  command->key = std::move(**key);

  const auto answer = co_await orders_.place(context, std::move(*command));
  if (!answer) co_return http::problem(answer.error());
  co_return to_response(*answer);
}

Task<http::Response> HttpApi::list(Context context, http::Request request) {
  const UserId customer = request.identity().user;
  auto response = co_await answer_list(context, request, customer);
  co_return response;
}

Task<http::Response> HttpApi::list_all(Context context, http::Request request) {
  auto response = co_await answer_list(context, request, std::nullopt);
  co_return response;
}

Task<http::Response> HttpApi::answer_list(Context context, http::Request request,
                                          std::optional<UserId> customer) {
  auto wanted = parse_list_query(request, customer, cursors_);
  if (!wanted) co_return http::problem(wanted.error());

  const auto page = co_await orders_.list(context, wanted->query);
  std::string cursor;
  if (page.has_more) cursor = cursors_.after(page.orders.back().id, wanted->list);
  auto response = personal_ok(to_json(page, cursor));
  if (page.has_more) {
    response.add_header("link", std::format("<{}>; rel=\"next\"", next_target(*wanted, cursor)));
  }
  co_return response;
}

Task<http::Response> HttpApi::show(Context context, http::Request request) {
  const auto id = order_id(request);
  if (!id) co_return http::problem(id.error());
  const auto order = co_await orders_.get(context, viewer_of(request), *id);
  if (!order) co_return http::problem(order.error());

  const auto tag = etag_of(*order);
  if (names_tag(request.header("if-none-match"), tag)) {
    http::Response unchanged{.status = 304};
    unchanged.add_header("etag", tag);
    unchanged.add_header("cache-control", personal);
    co_return unchanged;
  }
  auto response = personal_ok(to_json(*order));
  response.add_header("etag", tag);
  co_return response;
}

Task<http::Response> HttpApi::history(Context context, http::Request request) {
  const auto id = order_id(request);
  if (!id) co_return http::problem(id.error());
  const auto entries = co_await orders_.history(context, viewer_of(request), *id);
  if (!entries) co_return http::problem(entries.error());
  co_return personal_ok(to_json(*entries));
}

Task<http::Response> HttpApi::cancel(Context context, http::Request request) {
  const auto id = order_id(request);
  if (!id) co_return http::problem(id.error());
  auto key = key_of(request, false);
  if (!key) co_return http::problem(key.error());

  CancelOrder command{.id = *id, .viewer = viewer_of(request), .key = std::move(*key)};
  const auto answer = co_await orders_.cancel(context, std::move(command));
  if (!answer) co_return http::problem(answer.error());
  co_return to_response(*answer);
}

Task<http::Response> HttpApi::abandon(Context context, http::Request request) {
  const auto id = http::id_param<ReservationId>(request, "id", "reservation_not_found");
  if (!id) co_return http::problem(id.error());
  const auto body = json::read<AbandonJson>(request.body());
  if (!body) co_return http::problem(body.error());
  const auto origin = Uuid::parse(body->origin);
  if (!origin) {
    co_return http::problem({.kind = ErrorKind::invalid,
                             .code = "invalid_body",
                             .detail = "the origin is a UUID",
                             .fields = {{"/origin", "bad_id", "a UUID"}}});
  }
  const auto claim = co_await orders_.abandon(context, *id, Origin{*origin});
  ClaimJson answer{.state = claim.holder ? "held" : "abandoned",
                   .order_id = std::nullopt,
                   .order_status = std::nullopt};
  if (claim.holder) {
    answer.order_id = claim.holder->id.str();
    answer.order_status = std::string{name(claim.holder->status)};
  }
  co_return http::ok(json::write(answer));
}

}  // namespace stoa::order
