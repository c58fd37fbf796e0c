#include "services/notification-service/adapters/mail_texts.hpp"

namespace stoa::notification {
namespace {

constexpr MailTexts user_registered{
    .subject = "Welcome to {{shop}}",
    .text = R"(Hello {{name}},

your account at {{shop}} is ready. We are glad that you are here.

{{shop}}
)",
    .html = R"(<h1>Welcome, {{name}}</h1>
<p>Your account at {{shop}} is ready. We are glad that you are here.</p>
)",
};

constexpr MailTexts order_paid{
    .subject = "Order {{number}}: thank you, we have your payment",
    .text = R"(Hello {{name}},

thank you for your order {{number}}. Your payment has arrived and we are getting your things ready.

{{#lines}}
  {{quantity}} x {{item}}: {{total}}
{{/lines}}

Total: {{total}}

{{shop}}
)",
    .html = R"(<h1>Thank you, {{name}}</h1>
<p>Your payment for order <strong>{{number}}</strong> has arrived and we are getting your things ready.</p>
<table>
{{#lines}}
<tr><td>{{quantity}} &times;</td><td>{{item}}</td><td class="money">{{total}}</td></tr>
{{/lines}}
<tr class="sum"><td></td><td>Total</td><td class="money">{{total}}</td></tr>
</table>
)",
};

constexpr MailTexts order_cancelled{
    .subject = "Order {{number}} is cancelled",
    .text = R"(Hello {{name}},

your order {{number}} over {{total}} is cancelled. What you had paid for it is on its way back to you.

{{shop}}
)",
    .html = R"(<h1>Your order is cancelled</h1>
<p>Hello {{name}}, your order <strong>{{number}}</strong> over {{total}} is cancelled. What you had paid for it is on its way back to you.</p>
)",
};

constexpr MailTexts payment_failed{
    .subject = "Order {{number}}: the payment did not go through",
    .text = R"(Hello {{name}},

the payment of {{total}} for your order {{number}} did not go through. Nothing was charged, and the order is closed. You are welcome to order again with another payment method.

{{shop}}
)",
    .html = R"(<h1>The payment did not go through</h1>
<p>Hello {{name}}, the payment of {{total}} for your order <strong>{{number}}</strong> did not go through. Nothing was charged, and the order is closed.</p>
<p>You are welcome to order again with another payment method.</p>
)",
};

constexpr MailTexts payment_refunded{
    .subject = "Your refund of {{total}} is on its way",
    .text = R"(Hello {{name}},

we have sent you a refund of {{total}}. It takes the way you paid, and a few days at most banks.

{{shop}}
)",
    .html = R"(<h1>Your refund is on its way</h1>
<p>Hello {{name}}, we have sent you a refund of <strong>{{total}}</strong>. It takes the way you paid, and a few days at most banks.</p>
)",
};

}  // namespace

MailTexts mail_texts(NoticeKind kind) {
  switch (kind) {
    case NoticeKind::user_registered:
      return user_registered;
    case NoticeKind::order_paid:
      return order_paid;
    case NoticeKind::order_cancelled:
      return order_cancelled;
    case NoticeKind::payment_failed:
      return payment_failed;
    case NoticeKind::payment_refunded:
      return payment_refunded;
  }
  return {};
}

std::string_view html_frame() {
  return R"(<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{{subject}}</title>
<style>
body { font-family: sans-serif; color: #222; max-width: 36em; margin: 2em auto; }
td { padding: .2em .8em .2em 0; } .money { text-align: right; } .sum td { border-top: 1px solid #999; }
footer { color: #777; margin-top: 3em; font-size: .85em; }
</style></head>
<body>
{{{body}}}<footer>{{shop}}</footer>
</body>
</html>
)";
}

}  // namespace stoa::notification
