#pragma once

#include <span>
#include <string_view>

namespace stoa::payment {

/// `reconcile [--repair]`: our cash account against the provider's statement, line by line. Prints
/// every difference; exit code 0 when there is none left, 1 otherwise, 2 when it could not look.
int reconcile(std::span<const std::string_view> arguments);

/// `refunds settle <rfd_…> <note>`: an operator has paid an open refund back by other means.
int refunds(std::span<const std::string_view> arguments);

/// `redrive [QUEUE [COUNT]]`: dead letters back to their queue.
int redrive(std::span<const std::string_view> arguments);

}  // namespace stoa::payment
