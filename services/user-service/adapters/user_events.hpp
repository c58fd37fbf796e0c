#pragma once

#include <string>

#include "servicekit/core/type_id.hpp"

namespace stoa::user {

/// Data of user.registered and of user.deleted, as contracts/events promises them.
std::string user_event(const UserId& user);

}  // namespace stoa::user
