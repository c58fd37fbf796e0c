#pragma once

#include "servicekit/http/server.hpp"

#include "tools/mail-sink/mailbox.hpp"

namespace stoa::mail {

/// The API and the web view of the sink.
///   GET /api/messages?to=&subject=&limit=&summary=   newest first; limit ≤ 1,000,000, default 50
///   GET /api/messages/{id} · DELETE /api/messages · GET /api/count
///   PUT /api/faults {"refuse_next": 2, "delay_ms": 100}
///   GET / · GET /messages/{id} · GET /messages/{id}/html
class HttpApi {
 public:
  explicit HttpApi(Mailbox& mailbox) : mailbox_{mailbox} {}

  void mount(http::Router& router);

 private:
  Task<http::Response> list(Context context, http::Request request);
  Task<http::Response> show(Context context, http::Request request);
  Task<http::Response> set_faults(Context context, http::Request request);
  Task<http::Response> page(Context context, http::Request request);
  Task<http::Response> message_page(Context context, http::Request request);
  Task<http::Response> message_html(Context context, http::Request request);
  Result<const Mail*> mail_of(const http::Request& request) const;

  Mailbox& mailbox_;
};

}  // namespace stoa::mail
