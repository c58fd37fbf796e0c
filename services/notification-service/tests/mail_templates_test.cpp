#include "services/notification-service/adapters/mail_templates.hpp"

#include <string>

#include <gtest/gtest.h>

#include "services/notification-service/adapters/notice_json.hpp"

namespace stoa::notification {
namespace {

constexpr std::string_view order = R"({
  "order_id": "ord_01jd9x4m8ef2trv5y6a7b8c9d0", "number": "S-1042",
  "customer_id": "usr_01jd9x4m8ef2trv5y6a7b8c9d0", "reservation_id": "res_x",
  "lines": [{"variant_id": "var_x", "sku": "MUG", "name": "Mug <b>\u0026 spoon</b>", "quantity": 2,
             "unit_price": {"amount": 1299, "currency": "EUR"},
             "total": {"amount": 2598, "currency": "EUR"}}],
  "total": {"amount": 2998, "currency": "EUR"}, "reason": "customer"})";
constexpr std::string_view refund = R"({
  "refund_id": "rfd_1", "payment_id": "pay_1", "order_id": "ord_1",
  "customer_id": "usr_01jd9x4m8ef2trv5y6a7b8c9d0",
  "amount": {"amount": 400, "currency": "JPY"}, "closes_order": false})";
constexpr std::string_view user = R"({"user_id": "usr_01jd9x4m8ef2trv5y6a7b8c9d0"})";

RenderedMail render(NoticeKind kind, std::string_view content, std::string name = "Ann") {
  MailTemplates templates{"Stoa"};
  Delivery delivery;
  delivery.kind = kind;
  delivery.content = content;
  return templates.render(delivery, {.email = "ann@example.test", .name = std::move(name)});
}

TEST(MailTemplates, WelcomesWhoRegistered) {
  const RenderedMail mail = render(NoticeKind::user_registered, user);

  EXPECT_EQ(mail.subject, "Welcome to Stoa");
  EXPECT_TRUE(mail.text.starts_with("Hello Ann,\n")) << mail.text;
  EXPECT_TRUE(mail.html.contains("<h1>Welcome, Ann</h1>")) << mail.html;
}

TEST(MailTemplates, ListsWhatWasPaid) {
  const RenderedMail mail = render(NoticeKind::order_paid, order);

  EXPECT_TRUE(mail.subject.contains("S-1042"));
  EXPECT_TRUE(mail.text.contains("  2 x Mug <b>& spoon</b>: 25.98 EUR\n")) << mail.text;
  EXPECT_TRUE(mail.text.contains("Total: 29.98 EUR\n")) << mail.text;
  EXPECT_TRUE(mail.html.contains("29.98 EUR")) << mail.html;
}

TEST(MailTemplates, TellsEachOtherEnd) {
  EXPECT_EQ(render(NoticeKind::order_cancelled, order).subject, "Order S-1042 is cancelled");
  EXPECT_EQ(render(NoticeKind::payment_failed, order).subject,
            "Order S-1042: the payment did not go through");
  EXPECT_EQ(render(NoticeKind::payment_refunded, refund).subject,
            "Your refund of 400 JPY is on its way");
}

TEST(MailTemplates, EscapesInHtmlWhateverItIsGiven) {
  const RenderedMail mail = render(NoticeKind::order_paid, order, "<script>alert(1)</script>");

  EXPECT_FALSE(mail.html.contains("<script>")) << mail.html;
  EXPECT_TRUE(mail.html.contains("&lt;script&gt;"));
  EXPECT_TRUE(mail.html.contains("Mug &lt;b&gt;&amp; spoon&lt;/b&gt;")) << mail.html;
}

TEST(MailTemplates, TakesATemplateInANameForText) {
  const RenderedMail mail = render(NoticeKind::user_registered, user, "{{shop}}{{{body}}}");

  EXPECT_TRUE(mail.text.contains("Hello {{shop}}{{{body}}},")) << mail.text;
}

TEST(MailTemplates, KeepsEachValueOnOneLineAndShort) {
  const RenderedMail mail =
      render(NoticeKind::user_registered, user, "Ann\r\nBcc: eve" + std::string(500, 'x'));

  EXPECT_TRUE(mail.text.starts_with("Hello Ann  Bcc: evexxx")) << mail.text;
  EXPECT_LT(mail.text.find(",\n"), 210U);
}

TEST(Addressee, IsWhoTheEventIsAbout) {
  const auto placed = parse_addressee(NoticeKind::order_paid, order);
  ASSERT_TRUE(placed) << placed.error().detail;
  EXPECT_EQ(placed->user.str(), "usr_01jd9x4m8ef2trv5y6a7b8c9d0");
  EXPECT_EQ(placed->subject, "ord_01jd9x4m8ef2trv5y6a7b8c9d0");
  EXPECT_EQ(parse_addressee(NoticeKind::payment_refunded, refund)->subject, "rfd_1");
  EXPECT_EQ(parse_addressee(NoticeKind::user_registered, user)->subject,
            "usr_01jd9x4m8ef2trv5y6a7b8c9d0");
}

TEST(Addressee, IsRefusedWhenTheMailCouldNotBeWritten) {
  const auto broken = [](std::string_view what, std::string_view by) {
    std::string text{order};
    text.replace(text.find(what), what.size(), by);
    return !parse_addressee(NoticeKind::order_paid, text).has_value();
  };
  EXPECT_TRUE(broken("\"usr_", "\"ord_"));
  EXPECT_TRUE(broken("\"EUR\"}}],", "\"XXX\"}}],"));
  EXPECT_TRUE(broken("\"number\"", "\"no\""));
  EXPECT_TRUE(broken("{", ""));
}

}  // namespace
}  // namespace stoa::notification
