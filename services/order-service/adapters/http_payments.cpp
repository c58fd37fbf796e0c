#include "services/order-service/adapters/http_payments.hpp"

#include <array>
#include <format>
#include <utility>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/json/json.hpp"

namespace stoa::order {
namespace {

struct PaymentJson {
  std::string state;
  std::optional<std::string> reason;
};

struct NamedState {
  std::string_view name;
  PaymentState state;
};
constexpr std::array states = std::to_array<NamedState>({
    {"none", PaymentState::none},
    {"unknown", PaymentState::unknown},
    {"captured", PaymentState::captured},
    {"declined", PaymentState::declined},
    {"voided", PaymentState::voided},
    {"refunded", PaymentState::refunded},
});

}  // namespace

Task<Payments::Known> HttpPayments::state_of(Context context, OrderId id) {
  http::ClientRequest request{.method = http::Method::get,
                              .target = std::format("/internal/v1/orders/{}/payment", id.str()),
                              .headers = tokens_.authorization_for("payment-service"),
                              .idempotent = true};
  const auto response = co_await payments_.send(std::move(context), std::move(request));
  if (response.status != 200) throw Unavailable{"payment-service cannot tell now"};
  auto payment = json::read_lenient<PaymentJson>(response.body);
  if (!payment) throw Unavailable{"payment-service answered in an unknown form"};
  for (const NamedState& known : states) {
    if (known.name == payment->state) {
      co_return Known{.state = known.state, .reason = std::move(payment->reason)};
    }
  }
  throw Unavailable{"payment-service told an unknown state"};
}

}  // namespace stoa::order
