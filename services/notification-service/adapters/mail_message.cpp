#include "services/notification-service/adapters/mail_message.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <format>

namespace stoa::notification {
namespace {

constexpr std::size_t line_length_max = 76;
// 45 bytes are 60 characters of base64; with "=?UTF-8?B?" and "?=" 72 of the 75 that are allowed.
constexpr std::size_t word_bytes_max = 45;
constexpr std::size_t plain_length_max = 60;
constexpr std::string_view hex_digits = "0123456789ABCDEF";
constexpr std::string_view base64_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

// With padding, as encoded words want it.
std::string base64(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t block = 0;
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t j = 0; j < 3; ++j) {
      block <<= 8U;
      if (j < count) block |= static_cast<unsigned char>(bytes[i + j]);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += j <= count ? base64_digits[(block >> (18U - 6U * j)) & 0x3FU] : '=';
    }
  }
  return out;
}

std::string encoded_words(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::size_t size = std::min(word_bytes_max, text.size());
    // A character is never split between two words.
    while (size < text.size() && size > 1 && is_continuation(text[size])) --size;
    if (!out.empty()) out += "\r\n ";
    out += std::format("=?UTF-8?B?{}?=", base64(text.substr(0, size)));
    text.remove_prefix(size);
  }
  return out;
}

bool is_plain(std::string_view text) {
  return text.size() <= plain_length_max && !text.contains("=?") &&
         std::ranges::all_of(text, [](char c) { return c >= ' ' && c < '\x7f'; });
}

// A display name is a phrase: letters, digits and spaces stand as they are (RFC 5322
// section 3.2.5); anything else is encoded, since quotes, commas and brackets have a meaning there.
std::string mailbox(std::string_view name, std::string_view address) {
  if (name.empty()) return std::format("<{}>", address);
  const bool atoms = is_plain(name) && std::ranges::all_of(name, [](char c) {
                       return c == ' ' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                              (c >= 'a' && c <= 'z');
                     });
  return std::format("{} <{}>", atoms ? std::string{name} : encoded_words(name), address);
}

void append_part(std::string& out, std::string_view boundary, std::string_view type,
                 std::string_view text) {
  out += std::format("--{}\r\nContent-Type: {}; charset=utf-8\r\n", boundary, type);
  out += "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
  out += quoted_printable(text);
  out += "\r\n";
}

// Derived from the mail's id. Quoted-printable never writes "=_" (RFC 2045 section 6.7), so no line
// of a part can be taken for it.
std::string boundary_of(const Mail& mail) {
  std::string boundary = "=_";
  for (const char c : mail.message_id.substr(0, mail.message_id.find('@'))) {
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')) boundary += c;
  }
  return boundary;
}

}  // namespace

std::string quoted_printable(std::string_view text) {
  std::string out;
  std::size_t line_length = 0;
  const auto put = [&](std::string_view piece) {
    // Room for the '=' of a soft line break.
    if (line_length + piece.size() > line_length_max - 1) {
      out += "=\r\n";
      line_length = 0;
    }
    out += piece;
    line_length += piece.size();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\r\n";
      line_length = 0;
      continue;
    }
    const bool at_line_end = i + 1 == text.size() || text[i + 1] == '\n';
    const bool literal = (c > ' ' && c < '\x7f' && c != '=') || (c == ' ' && !at_line_end);
    if (literal) {
      put({&c, 1});
    } else if (c != '\r') {
      const char escaped[3] = {'=', hex_digits[byte >> 4U], hex_digits[byte & 0xFU]};
      put({escaped, sizeof escaped});
    }
  }
  return out;
}

std::string header_text(std::string_view text) {
  return is_plain(text) ? std::string{text} : encoded_words(text);
}

std::string mail_date(Instant instant) {
  return std::format("{:%a, %d %b %Y %H:%M:%S} +0000",
                     std::chrono::floor<std::chrono::seconds>(instant));
}

std::string write_message(const Mail& mail, const Sender& sender, Instant now) {
  const std::string boundary = boundary_of(mail);
  std::string out;
  const auto header = [&out](std::string_view name, std::string_view value) {
    out += std::format("{}: {}\r\n", name, value);
  };
  header("Date", mail_date(now));
  header("From", mailbox(sender.name, sender.address));
  header("To", mailbox(mail.to.name, mail.to.email));
  header("Subject", header_text(mail.subject));
  header("Message-ID", mail.message_id);
  header("MIME-Version", "1.0");
  // RFC 3834: no holiday notes in answer to this.
  header("Auto-Submitted", "auto-generated");
  if (mail.trace.valid()) {
    header("traceparent", mail.trace.traceparent());
    header("X-Trace-Id", mail.trace.trace_id_hex());
  }
  header("Content-Type", std::format("multipart/alternative; boundary=\"{}\"", boundary));
  out += "\r\n";
  append_part(out, boundary, "text/plain", mail.text);
  append_part(out, boundary, "text/html", mail.html);
  out += std::format("--{}--\r\n", boundary);
  return out;
}

}  // namespace stoa::notification
