#include "services/notification-service/adapters/http_contacts.hpp"

#include <format>
#include <string>
#include <utility>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/json/json.hpp"

namespace stoa::notification {
namespace {

struct ContactJson {
  std::string email;
  std::string name;
};

struct ProblemJson {
  std::string code;
};

}  // namespace

Task<std::optional<Contact>> HttpContacts::find(Context context, UserId user) {
  http::ClientRequest request{
      .target = std::format("/internal/v1/users/{}/contact", user.str()),
      .headers = tokens_.authorization_for("user-service"),
  };
  const auto answer = co_await users_.send(std::move(context), std::move(request));
  if (answer.status == 404) {
    // Only user-service's own word erases a user: a 404 of anything in between does not.
    const auto problem = json::read_lenient<ProblemJson>(answer.body);
    if (problem && problem->code == "user_not_found") co_return std::nullopt;
  }
  if (answer.status != 200) {
    throw Unavailable{std::format("user-service answers {} for a contact", answer.status)};
  }
  auto wire = json::read_lenient<ContactJson>(answer.body);
  if (!wire) throw Unavailable{"user-service's contact cannot be read: " + wire.error().detail};
  co_return Contact{.email = std::move(wire->email), .name = std::move(wire->name)};
}

}  // namespace stoa::notification
