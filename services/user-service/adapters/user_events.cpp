#include "services/user-service/adapters/user_events.hpp"

#include "servicekit/json/json.hpp"

namespace stoa::user {
namespace {

struct UserEventJson {
  std::string user_id;
};

}  // namespace

std::string user_event(const UserId& user) { return json::write(UserEventJson{user.str()}); }

}  // namespace stoa::user
