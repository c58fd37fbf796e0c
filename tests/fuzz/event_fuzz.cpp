// Messages in a queue, whoever put them there: the envelope, and what each consumer reads of its
// data. An envelope that is taken can be written and taken again.
#include "servicekit/messaging/detail/envelope.hpp"

#include "services/notification-service/adapters/notice_json.hpp"
#include "services/payment-service/adapters/payment_events.hpp"
#include "services/product-service/adapters/reservation_json.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace stoa;

template <class T>
void refused_with_a_code(const Result<T>& result) {
  require(result || !result.error().code.empty(), "a refusal has a code");
}

void consume(std::string_view data) {
  const auto placed = payment::parse_order_placed(data);
  refused_with_a_code(placed);
  require(!placed || placed->amount.minor_units() > 0, "an order is paid with something");
  refused_with_a_code(payment::parse_cancel_requested(data));
  refused_with_a_code(product::parse_settled(data));
  refused_with_a_code(notification::parse_user(data));
  refused_with_a_code(notification::parse_order_notice(data));
  refused_with_a_code(notification::parse_refund_notice(data));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input = fuzz::text_of(data, size);
  if ((fuzz::take_choice(input) & 1U) != 0) {
    consume(input);
    return 0;
  }
  const auto event = messaging::detail::read_envelope(input);
  if (!event) {
    require(!event.error().empty(), "a refusal says why");
    return 0;
  }
  consume(event->data);
  const auto again = messaging::detail::read_envelope(messaging::detail::write_envelope(*event));
  require(again && again->id == event->id && again->subject == event->subject &&
              again->data == event->data && again->aggregate_version == event->aggregate_version,
          "what was taken can be written and taken again");
  return 0;
}
