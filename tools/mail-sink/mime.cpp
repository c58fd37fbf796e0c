#include "tools/mail-sink/mime.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "servicekit/core/ascii.hpp"
#include "servicekit/core/encoding.hpp"

namespace stoa::mail {
namespace {

constexpr int depth_max = 8;
constexpr std::size_t header_count_max = 200;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view space = " \t\r\n";
  const auto first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

/// RFC 4648 section 4; white space is passed over, anything else that is no digit ends it.
std::string base64(std::string_view text) {
  std::string bytes;
  std::uint32_t buffer = 0;
  unsigned bits = 0;
  for (const char c : text) {
    unsigned value = 0;
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<unsigned>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<unsigned>(c - 'a' + 26);
    } else if (c >= '0' && c <= '9') {
      value = static_cast<unsigned>(c - '0' + 52);
    } else if (c == '+' || c == '/') {
      value = c == '+' ? 62 : 63;
    } else if (c == '\r' || c == '\n' || c == ' ') {
      continue;
    } else {
      break;
    }
    buffer = (buffer << 6U) | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>((buffer >> bits) & 0xFFU);
    }
  }
  return bytes;
}

std::optional<char> hex_pair(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  const std::array escape{'%', text[0], text[1]};
  const auto byte = percent_decode({escape.data(), escape.size()});
  if (!byte) return std::nullopt;
  return byte->front();
}

/// RFC 2045 section 6.7; `underscore_is_space` for the Q words of RFC 2047.
std::string quoted_printable(std::string_view text, bool underscore_is_space) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_' && underscore_is_space) {
      bytes += ' ';
    } else if (text[i] != '=') {
      bytes += text[i];
    } else if (text.substr(i + 1).starts_with("\r\n")) {
      i += 2;
    } else if (text.substr(i + 1).starts_with('\n')) {
      i += 1;
    } else if (const auto byte = hex_pair(text.substr(i + 1))) {
      bytes += *byte;
      i += 2;
    } else {
      bytes += '=';
    }
  }
  return bytes;
}

/// One encoded word "=?utf-8?B?…?=" at the front of `text`; its length in `length`.
std::optional<std::string> encoded_word(std::string_view text, std::size_t& length) {
  if (!text.starts_with("=?")) return std::nullopt;
  const auto charset_end = text.find('?', 2);
  if (charset_end == std::string_view::npos || charset_end + 2 >= text.size()) return std::nullopt;
  const char encoding = lower_case(text[charset_end + 1]);
  if (text[charset_end + 2] != '?') return std::nullopt;
  const auto end = text.find("?=", charset_end + 3);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view word = text.substr(charset_end + 3, end - charset_end - 3);
  length = end + 2;
  if (encoding == 'b') return base64(word);
  if (encoding == 'q') return quoted_printable(word, true);
  return std::nullopt;
}

std::string decode_words(std::string_view value) {
  std::string out;
  bool after_word = false;
  for (std::size_t i = 0; i < value.size();) {
    std::size_t length = 0;
    if (const auto word = encoded_word(value.substr(i), length)) {
      // White space between two encoded words is not part of the text (RFC 2047 section 6.2).
      if (after_word) {
        while (!out.empty() && (out.back() == ' ' || out.back() == '\t')) out.pop_back();
      }
      out += *word;
      i += length;
      after_word = true;
      continue;
    }
    if (value[i] != ' ' && value[i] != '\t') after_word = false;
    out += value[i++];
  }
  return out;
}

struct Split {
  std::string_view head;
  std::string_view body;
};

Split split(std::string_view message) {
  if (message.starts_with("\r\n")) return {{}, message.substr(2)};
  if (const auto at = message.find("\r\n\r\n"); at != std::string_view::npos) {
    return {message.substr(0, at + 2), message.substr(at + 4)};
  }
  if (const auto at = message.find("\n\n"); at != std::string_view::npos) {
    return {message.substr(0, at + 1), message.substr(at + 2)};
  }
  return {message, {}};
}

std::vector<std::pair<std::string, std::string>> headers_of(std::string_view head) {
  std::vector<std::pair<std::string, std::string>> headers;
  while (!head.empty() && headers.size() < header_count_max) {
    const auto end = head.find('\n');
    std::string_view line = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const bool folded = line.starts_with(' ') || line.starts_with('\t');
    if (folded && !headers.empty()) {
      headers.back().second += ' ';
      headers.back().second += trimmed(line);
      continue;
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    headers.emplace_back(line.substr(0, colon), trimmed(line.substr(colon + 1)));
  }
  for (auto& [name, value] : headers) value = decode_words(value);
  return headers;
}

std::string_view find(const std::vector<std::pair<std::string, std::string>>& headers,
                      std::string_view name) {
  const auto found = std::ranges::find_if(
      headers, [&](const auto& header) { return equal_ignoring_case(header.first, name); });
  return found == headers.end() ? std::string_view{} : std::string_view{found->second};
}

std::string parameter(std::string_view value, std::string_view name) {
  const std::string all = lower_case(value);
  const auto at = all.find(std::string{name} + "=");
  if (at == std::string::npos) return {};
  std::string_view rest = value.substr(at + name.size() + 1);
  if (rest.starts_with('"')) {
    rest.remove_prefix(1);
    return std::string{rest.substr(0, rest.find('"'))};
  }
  return std::string{rest.substr(0, rest.find_first_of("; \t\r\n"))};
}

void read_part(const std::vector<std::pair<std::string, std::string>>& headers,
               std::string_view body, int depth, Mime& into);

void read_multipart(std::string_view body, const std::string& boundary, int depth, Mime& into) {
  const std::string delimiter = "--" + boundary;
  auto at = body.find(delimiter);
  while (at != std::string_view::npos) {
    std::string_view rest = body.substr(at + delimiter.size());
    if (rest.starts_with("--")) return;
    const auto line_end = rest.find('\n');
    if (line_end == std::string_view::npos) return;
    rest.remove_prefix(line_end + 1);
    const auto next = rest.find(delimiter);
    const auto [head, content] = split(rest.substr(0, next));
    read_part(headers_of(head), content, depth + 1, into);
    body = rest;
    at = next;
  }
}

void read_part(const std::vector<std::pair<std::string, std::string>>& headers,
               std::string_view body, int depth, Mime& into) {
  const std::string_view type = find(headers, "content-type");
  const std::string kind = lower_case(type.substr(0, type.find(';')));
  if (kind.starts_with("multipart/")) {
    if (depth < depth_max) read_multipart(body, parameter(type, "boundary"), depth, into);
    return;
  }
  const bool html = kind == "text/html";
  if (!html && !kind.empty() && kind != "text/plain") return;
  std::string& place = html ? into.html : into.text;
  if (!place.empty()) return;
  const std::string encoding = lower_case(find(headers, "content-transfer-encoding"));
  if (encoding == "base64") {
    place = base64(body);
  } else if (encoding == "quoted-printable") {
    place = quoted_printable(body, false);
  } else {
    place = body;
  }
}

}  // namespace

std::string_view Mime::header(std::string_view name) const { return find(headers, name); }

Mime parse_mime(std::string_view message) {
  const auto [head, body] = split(message);
  Mime mime{.headers = headers_of(head), .text = {}, .html = {}};
  read_part(mime.headers, body, 0, mime);
  return mime;
}

}  // namespace stoa::mail
