// Access tokens and key sets. The input is a text of its own or a list of changes to a good token:
// only the good one may be taken, whoever signed and whatever the header says.
#include <string>

#include "servicekit/auth/token_check.hpp"

#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace stoa;

constexpr std::string_view issuer = "stoa";

struct World {
  auth::Signer signer{auth::generate_private_key()};
  auth::detail::KeySet keys;
  std::string good;
  auth::VerifierConfig config{.service = "order-service", .service_jwks_path = ""};

  World() {
    const std::string set = "{\"keys\":[" + signer.public_jwk() + "]}";
    auto parsed = auth::detail::parse_jwks(set, auth::detail::Owners::users);
    require(parsed.has_value(), "our own key is one");
    keys = std::move(*parsed);
    const Uuid id = *Uuid::parse("01932f6e-7c00-7000-8000-000000000001");
    good = signer.sign({.subject = UserId{id}.str(),
                        .session = SessionId{id}.str(),
                        .audience = "stoa",
                        .issuer = std::string{issuer},
                        .token_id = "1",
                        .roles = {"customer"},
                        .expires_at = *parse_rfc3339("2099-01-01T00:00:00.000Z")});
    require(accepted(good), "the good token is good");
  }

  bool accepted(std::string_view text) const {
    const auto token = auth::detail::parse_token(text);
    if (!token) return false;
    const auto key = keys.find(token->key_id);
    if (key == keys.end()) return false;
    return auth::detail::check_token(*token, key->second, config).has_value();
  }
};

// Three bytes a change: where (two), what.
std::string changed(std::string token, std::string_view changes) {
  for (std::size_t i = 0; i + 2 < changes.size(); i += 3) {
    const auto high = static_cast<unsigned char>(changes[i]);
    const auto low = static_cast<unsigned char>(changes[i + 1]);
    token[(high * 256U + low) % token.size()] = changes[i + 2];
  }
  return token;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const World world;
  std::string_view input = fuzz::text_of(data, size);
  const std::uint8_t choice = fuzz::take_choice(input) % 3;
  if (choice == 0) {
    auth::detail::parse_jwks(input, auth::detail::Owners::users);
    auth::detail::parse_jwks(input, auth::detail::Owners::services);
    return 0;
  }
  const std::string token = choice == 1 ? std::string{input} : changed(world.good, input);
  require(!world.accepted(token) || token == world.good, "only what was signed is taken");
  return 0;
}
