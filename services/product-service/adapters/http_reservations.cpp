#include "services/product-service/adapters/http_reservations.hpp"

#include <utility>

#include "services/product-service/adapters/reservation_json.hpp"

namespace stoa::product {
namespace {

telemetry::Counter counter(telemetry::Telemetry& telemetry, std::string outcome) {
  return telemetry.counter("stoa_reservations_total", "Answers to requests to reserve stock",
                           {{"outcome", std::move(outcome)}});
}

}  // namespace

ReservationApi::ReservationApi(Reservations& reservations, telemetry::Telemetry& telemetry)
    : reservations_{reservations},
      reserved_{counter(telemetry, "reserved")},
      out_of_stock_{counter(telemetry, "out_of_stock")},
      refused_{counter(telemetry, "refused")} {}

void ReservationApi::mount(http::Router& router) {
  const http::Access caller = http::from_services({"order-service"});
  router.post("/internal/v1/reservations", caller, [this](Context context, http::Request request) {
    return reserve(std::move(context), request);
  });
  router.post("/internal/v1/reservations/{id}/release", caller,
              [this](Context context, http::Request request) {
                return release(std::move(context), request);
              },
              {.content_type = ""});
}

Task<http::Response> ReservationApi::reserve(Context context, http::Request request) {
  auto command = parse_reserve(request.body());
  if (!command) co_return http::problem(command.error());

  const auto reservation = co_await reservations_.reserve(std::move(context), std::move(*command));
  if (!reservation) {
    (reservation.error().code == "out_of_stock" ? out_of_stock_ : refused_).add();
    co_return http::problem(reservation.error());
  }
  reserved_.add();
  co_return http::ok(to_json(*reservation));
}

Task<http::Response> ReservationApi::release(Context context, http::Request request) {
  const auto id = http::id_param<ReservationId>(request, "id", "reservation_not_found");
  if (!id) co_return http::problem(id.error());
  co_await reservations_.release(std::move(context), *id);
  co_return http::no_content();
}

}  // namespace stoa::product
