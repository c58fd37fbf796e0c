#include "services/notification-service/adapters/mail_templates.hpp"

#include <algorithm>
#include <format>
#include <map>
#include <utility>

#include <kainjow/mustache.hpp>

#include "servicekit/core/require.hpp"

#include "services/notification-service/adapters/mail_texts.hpp"
#include "services/notification-service/adapters/notice_json.hpp"

namespace stoa::notification {
namespace {

using kainjow::mustache::data;
using kainjow::mustache::mustache;

// A name of a thousand characters is somebody's joke, and a header's burden.
constexpr std::size_t shown_bytes_max = 200;

// One line of visible characters: neither a header nor the shape of a text can be broken by it.
std::string one_line(std::string_view text) {
  std::string out{text.substr(0, shown_bytes_max)};
  while (out.size() < text.size() && !out.empty() &&
         (static_cast<unsigned char>(text[out.size()]) & 0xC0U) == 0x80U) {
    out.pop_back();
  }
  std::ranges::replace_if(
      out, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  return out;
}

std::string written(const Money& money) {
  return std::format("{} {}", money.decimal(), money.currency().code());
}

mustache compiled(std::string_view source) {
  mustache compiled_source{std::string{source}};
  require(compiled_source.is_valid(), "the templates of mails are well formed");
  return compiled_source;
}

mustache compiled_plain(std::string_view source) {
  mustache plain = compiled(source);
  plain.set_custom_escape([](const std::string& text) { return text; });
  return plain;
}

void put(data& values, const char* name, const data& value) { values.set(name, value); }

void add_order(data& values, const Delivery& delivery) {
  const auto order = parse_order_notice(delivery.content);
  require(order.has_value(), "an accepted content can be read");
  put(values, "number", one_line(order->number));
  put(values, "total", written(order->total));
  data lines{data::type::list};
  for (const OrderLine& line : order->lines) {
    data item{data::type::object};
    put(item, "quantity", std::to_string(line.quantity));
    put(item, "item", one_line(line.name));
    put(item, "total", written(line.total));
    lines.push_back(item);
  }
  put(values, "lines", lines);
}

void add_refund(data& values, const Delivery& delivery) {
  const auto refund = parse_refund_notice(delivery.content);
  require(refund.has_value(), "an accepted content can be read");
  put(values, "total", written(refund->amount));
}

}  // namespace

struct MailTemplates::Set {
  struct Compiled {
    mustache subject;
    mustache text;
    mustache html;
  };
  std::map<NoticeKind, Compiled> by_kind;
  mustache frame = compiled(html_frame());
};

MailTemplates::MailTemplates(std::string shop_name)
    : shop_name_{std::move(shop_name)}, set_{std::make_unique<Set>()} {
  for (const auto kind :
       {NoticeKind::user_registered, NoticeKind::order_paid, NoticeKind::order_cancelled,
        NoticeKind::payment_failed, NoticeKind::payment_refunded}) {
    const MailTexts texts = mail_texts(kind);
    set_->by_kind.emplace(kind, Set::Compiled{.subject = compiled_plain(texts.subject),
                                              .text = compiled_plain(texts.text),
                                              .html = compiled(texts.html)});
  }
}

MailTemplates::~MailTemplates() = default;

RenderedMail MailTemplates::render(const Delivery& delivery, const Contact& contact) {
  data values{data::type::object};
  put(values, "shop", shop_name_);
  put(values, "name", one_line(contact.name));
  switch (delivery.kind) {
    case NoticeKind::user_registered:
      break;
    case NoticeKind::order_paid:
    case NoticeKind::order_cancelled:
    case NoticeKind::payment_failed:
      add_order(values, delivery);
      break;
    case NoticeKind::payment_refunded:
      add_refund(values, delivery);
      break;
  }
  Set::Compiled& compiled_set = set_->by_kind.at(delivery.kind);
  RenderedMail mail{.subject = compiled_set.subject.render(values),
                    .text = compiled_set.text.render(values),
                    .html = {}};
  data framed{data::type::object};
  put(framed, "shop", shop_name_);
  put(framed, "subject", mail.subject);
  put(framed, "body", compiled_set.html.render(values));
  mail.html = set_->frame.render(framed);
  return mail;
}

}  // namespace stoa::notification
