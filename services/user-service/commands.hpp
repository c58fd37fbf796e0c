#pragma once

#include <span>
#include <string_view>

// What an operator runs. Each returns the exit code of the process and throws what run_program()
// turns into a line: a wrong setting, a database that does not answer within half a minute.
namespace stoa::user {

/// grant --email ADDRESS --role customer|staff|admin: 1 when there is no such account.
int grant(std::span<const std::string_view> arguments);

/// Makes the three demo accounts, or leaves them as they are but for their roles.
int demo(std::span<const std::string_view> arguments);

/// keys rotate
int keys(std::span<const std::string_view> arguments);

}  // namespace stoa::user
