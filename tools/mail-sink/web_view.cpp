#include "tools/mail-sink/web_view.hpp"

#include <format>

#include "tools/mail-sink/mime.hpp"

namespace stoa::mail {
namespace {

constexpr std::string_view head =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Mail sink</title>"
    "<meta name=\"viewport\" content=\"width=device-width\"><style>"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{width:100%;border-collapse:collapse}td,th{text-align:left;padding:.3rem .6rem;"
    "border-bottom:1px solid #ddd}pre{white-space:pre-wrap}iframe{width:100%;height:30rem;"
    "border:1px solid #ddd}@media(prefers-color-scheme:dark){body{background:#111;color:#eee}"
    "a{color:#8bf}td,th,iframe{border-color:#444}iframe{background:#fff}}</style></head><body>";

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

}  // namespace

std::string list_page(const std::vector<const Mail*>& mails, std::size_t count) {
  std::string page{head};
  page += std::format("<h1>Mail sink</h1><p>{} messages, the newest first.</p><table>", count);
  page += "<tr><th>Received</th><th>To</th><th>Subject</th></tr>";
  for (const Mail* mail : mails) {
    page += std::format("<tr><td>{}</td><td>{}</td><td><a href=\"/messages/{}\">{}</a></td></tr>",
                        rfc3339(mail->received_at), escaped(joined(mail->to)), mail->id,
                        escaped(mail->subject.empty() ? "(no subject)" : mail->subject));
  }
  return page + "</table></body></html>";
}

std::string message_page(const Mail& mail) {
  const Mime mime = parse_mime(mail.raw);
  std::string page{head};
  page +=
      std::format("<p><a href=\"/\">all messages</a></p><h1>{}</h1><table>", escaped(mail.subject));
  for (const auto& [name, value] : mime.headers) {
    page += std::format("<tr><th>{}</th><td>{}</td></tr>", escaped(name), escaped(value));
  }
  page += "</table>";
  if (!mime.html.empty()) {
    page +=
        std::format("<h2>HTML</h2><iframe sandbox src=\"/messages/{}/html\"></iframe>", mail.id);
  }
  page += std::format("<h2>Text</h2><pre>{}</pre></body></html>", escaped(mime.text));
  return page;
}

}  // namespace stoa::mail
