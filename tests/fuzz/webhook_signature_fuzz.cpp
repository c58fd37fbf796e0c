// Webhooks of whoever claims to be the provider: taken only with the signature of this very body at
// this very time.
#include <chrono>
#include <format>
#include <string>

#include "servicekit/core/encoding.hpp"
#include "servicekit/crypto/crypto.hpp"

#include "services/payment-service/adapters/webhook_signature.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stoa;
  std::string_view input = fuzz::text_of(data, size);
  const std::uint8_t choice = fuzz::take_choice(input);
  const std::size_t wanted_cut = fuzz::take_choice(input);
  const std::size_t cut = wanted_cut % (input.size() + 1);
  const std::string_view body = input.substr(cut);
  const Secret<> secret{std::string{"whsec"}};
  constexpr std::int64_t now = 1'763'812'800;

  const std::string good = hex(crypto::hmac_sha256(secret, std::format("{}.{}", now, body)));
  std::string header{input.substr(0, cut)};
  if (choice % 2 == 1) header += std::format(",t={},v1={}", now, good);
  const auto verified = payment::verify_webhook(
      secret, header, body, std::chrono::sys_seconds{std::chrono::seconds{now}});
  if (verified) {
    require(header.contains(good) && header.contains(std::to_string(now)),
            "only what the provider signed is taken");
  }
  return 0;
}
