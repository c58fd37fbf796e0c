#pragma once

#include <string>
#include <vector>

#include "tools/mail-sink/mailbox.hpp"

namespace stoa::mail {

/// The list of messages as one HTML page. Everything that came from outside is escaped.
std::string list_page(const std::vector<const Mail*>& mails, std::size_t count);

/// One message; its HTML part stands in a sandboxed frame without scripts or origin.
std::string message_page(const Mail& mail);

}  // namespace stoa::mail
