// The bodies of the endpoints, each by its own reader; the first byte chooses. Nothing comes
// through that the domain would have to check a second time.
#include "services/order-service/adapters/order_json.hpp"
#include "services/payment-service/adapters/payment_json.hpp"
#include "services/product-service/adapters/product_json.hpp"
#include "services/product-service/adapters/reservation_json.hpp"
#include "services/product-service/adapters/stock_json.hpp"
#include "services/user-service/adapters/user_json.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

template <class T>
bool taken(const stoa::Result<T>& result) {
  if (result) return true;
  stoa::require(!result.error().code.empty(), "a refusal has a code");
  return false;
}

void order_body(std::string_view body) {
  const auto command = stoa::order::parse_place_order(body);
  if (!taken(command)) return;
  stoa::require(command->customer == stoa::UserId{}, "nobody says in a body who they are");
}

void refund_body(std::string_view body) {
  const auto refund = stoa::payment::parse_refund_body(body);
  if (!taken(refund)) return;
  stoa::require(refund->amount.minor_units() > 0, "a refund gives something back");
  stoa::require(refund->amount.minor_units() <= stoa::Money::wire_max, "amounts are bounded");
}

void product_body(std::string_view body) {
  if (const auto made = stoa::product::parse_new_product(body); taken(made)) {
    for (const auto& variant : made->variants) {
      for (const stoa::Money& price : variant.prices) {
        stoa::require(price.minor_units() <= stoa::Money::wire_max, "amounts are bounded");
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stoa;
  std::string_view body = fuzz::text_of(data, size);
  constexpr std::uint8_t reader_count = 13;
  switch (fuzz::take_choice(body) % reader_count) {
    case 0:
      order_body(body);
      break;
    case 1:
      refund_body(body);
      break;
    case 2:
      product_body(body);
      break;
    case 3:
      taken(product::parse_product_patch(body));
      break;
    case 4:
      taken(product::parse_variant_patch(body));
      break;
    case 5:
      taken(product::parse_prices(body));
      break;
    case 6:
      taken(product::parse_adjustment(body));
      break;
    case 7:
      taken(product::parse_reserve(body));
      break;
    case 8:
      taken(payment::parse_provider_event(body));
      break;
    case 9:
      taken(user::parse_registration(body));
      break;
    case 10:
      taken(user::parse_login(body));
      break;
    case 11:
      taken(user::parse_refresh_token(body));
      break;
    default:
      taken(user::parse_change(body));
  }
  return 0;
}
