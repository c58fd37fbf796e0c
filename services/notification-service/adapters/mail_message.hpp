#pragma once

#include <string>
#include <string_view>

#include "servicekit/core/time.hpp"

#include "services/notification-service/app/ports.hpp"

namespace stoa::notification {

struct Sender {
  std::string address;
  std::string name;
};

/// The mail as it goes over the wire (RFC 5322, MIME of RFC 2045 to 2047): multipart/alternative,
/// both parts quoted-printable, CRLF line ends, no line over 76 characters in a body. Nothing in
/// `mail` can add a header: what is not plain is encoded. The addresses are valid ones already.
std::string write_message(const Mail& mail, const Sender& sender, Instant now);

/// RFC 2045 section 6.7.
std::string quoted_printable(std::string_view text);

/// A header value of any text: itself when it is plain, else encoded words (RFC 2047).
std::string header_text(std::string_view text);

/// RFC 5322 section 3.3, in UTC.
std::string mail_date(Instant instant);

}  // namespace stoa::notification
