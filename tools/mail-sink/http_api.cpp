#include "tools/mail-sink/http_api.hpp"

#include <charconv>
#include <map>
#include <utility>

#include "servicekit/json/json.hpp"

#include "tools/mail-sink/mime.hpp"
#include "tools/mail-sink/web_view.hpp"

namespace stoa::mail {
namespace {

constexpr std::int64_t limit_default = 50;
constexpr std::int64_t limit_max = 1'000'000;
constexpr std::size_t page_rows = 200;

struct MailJson {
  std::int64_t id;
  std::string from;
  std::vector<std::string> to;
  std::string subject;
  std::string message_id;
  std::string received_at;
  std::optional<std::map<std::string, std::string>> headers;
  std::optional<std::string> text;
  std::optional<std::string> html;
};

struct ListJson {
  std::vector<MailJson> messages;
};

struct CountJson {
  std::int64_t count;
};

struct FaultsJson {
  std::optional<std::uint32_t> refuse_next;
  std::optional<std::uint32_t> delay_ms;
};

MailJson summary_of(const Mail& mail) {
  return {.id = static_cast<std::int64_t>(mail.id),
          .from = mail.from,
          .to = mail.to,
          .subject = mail.subject,
          .message_id = mail.message_id,
          .received_at = rfc3339(mail.received_at),
          .headers = std::nullopt,
          .text = std::nullopt,
          .html = std::nullopt};
}

MailJson whole(const Mail& mail) {
  MailJson json = summary_of(mail);
  Mime mime = parse_mime(mail.raw);
  json.headers.emplace();
  for (auto& [name, value] : mime.headers) json.headers->try_emplace(name, std::move(value));
  json.text = std::move(mime.text);
  json.html = std::move(mime.html);
  return json;
}

http::Response page_of(std::string body) {
  http::Response response{.body = std::move(body), .content_type = "text/html; charset=utf-8"};
  response.add_header(
      "content-security-policy",
      "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; img-src data:");
  return response;
}

}  // namespace

void HttpApi::mount(http::Router& router) {
  using http::anyone;
  using http::Request;
  router.get("/api/messages", anyone, [this](Context context, Request request) {
    return list(std::move(context), request);
  });
  router.get("/api/messages/{id}", anyone, [this](Context context, Request request) {
    return show(std::move(context), request);
  });
  router.del("/api/messages", anyone, [this](Context, Request) -> Task<http::Response> {
    mailbox_.clear();
    return [](http::Response done) -> Task<http::Response> { co_return done; }(http::no_content());
  });
  router.get("/api/count", anyone, [this](Context, Request) -> Task<http::Response> {
    const CountJson count{static_cast<std::int64_t>(mailbox_.size())};
    return [](http::Response done) -> Task<http::Response> {
      co_return done;
    }(http::ok(json::write(count)));
  });
  router.put("/api/faults", anyone, [this](Context context, Request request) {
    return set_faults(std::move(context), request);
  });
  router.get("/", anyone, [this](Context context, Request request) {
    return page(std::move(context), request);
  });
  router.get("/messages/{id}", anyone, [this](Context context, Request request) {
    return message_page(std::move(context), request);
  });
  router.get("/messages/{id}/html", anyone, [this](Context context, Request request) {
    return message_html(std::move(context), request);
  });
}

Task<http::Response> HttpApi::list(Context, http::Request request) {
  const auto query = http::QueryString::parse(request, {"to", "subject", "limit", "summary"});
  if (!query) co_return http::problem(query.error());
  const auto limit = query->number("limit", 0, limit_max);
  if (!limit) co_return http::problem(limit.error());
  const auto summary = query->flag("summary");
  if (!summary) co_return http::problem(summary.error());
  const auto text = [](std::string_view value) { return std::string{value}; };
  const auto mails = mailbox_.find(
      {.to = query->text("to").transform(text), .subject = query->text("subject").transform(text)},
      static_cast<std::size_t>(limit->value_or(limit_default)));
  ListJson answer;
  for (const Mail* mail : mails) {
    answer.messages.push_back(summary->value_or(false) ? summary_of(*mail) : whole(*mail));
  }
  co_return http::ok(json::write(answer));
}

Result<const Mail*> HttpApi::mail_of(const http::Request& request) const {
  const std::string& text = request.param("id");
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  const bool number = error == std::errc{} && end == text.data() + text.size();
  if (const Mail* mail = number ? mailbox_.find(id) : nullptr) return mail;
  return refuse(ErrorKind::not_found, "mail_not_found", "there is no such message");
}

Task<http::Response> HttpApi::show(Context, http::Request request) {
  const auto mail = mail_of(request);
  if (!mail) co_return http::problem(mail.error());
  co_return http::ok(json::write(whole(**mail)));
}

Task<http::Response> HttpApi::set_faults(Context, http::Request request) {
  const auto wanted = json::read<FaultsJson>(request.body());
  if (!wanted) co_return http::problem(wanted.error());
  mailbox_.faults = {.refuse_next = wanted->refuse_next.value_or(0),
                     .delay = std::chrono::milliseconds{wanted->delay_ms.value_or(0)}};
  co_return http::no_content();
}

Task<http::Response> HttpApi::page(Context, http::Request) {
  co_return page_of(list_page(mailbox_.find({}, page_rows), mailbox_.size()));
}

Task<http::Response> HttpApi::message_page(Context, http::Request request) {
  const auto mail = mail_of(request);
  if (!mail) co_return http::problem(mail.error());
  co_return page_of(mail::message_page(**mail));
}

Task<http::Response> HttpApi::message_html(Context, http::Request request) {
  const auto mail = mail_of(request);
  if (!mail) co_return http::problem(mail.error());
  http::Response response{.body = parse_mime((*mail)->raw).html,
                          .content_type = "text/html; charset=utf-8"};
  // What a mail brings along may be looked at and do nothing.
  response.add_header("content-security-policy",
                      "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:");
  co_return response;
}

}  // namespace stoa::mail
