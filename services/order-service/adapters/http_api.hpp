#pragma once

#include <optional>
#include <string>

#include "servicekit/http/server.hpp"

#include "services/order-service/adapters/cursor.hpp"
#include "services/order-service/app/orders.hpp"

namespace stoa::order {

/// The HTTP face of the service; contracts/http/order-service.yaml is its specification.
class HttpApi {
 public:
  HttpApi(Orders& orders, Cursors cursors) : orders_{orders}, cursors_{std::move(cursors)} {}

  void mount(http::Router& router);

 private:
  Task<http::Response> create(Context context, http::Request request);
  Task<http::Response> list(Context context, http::Request request);
  Task<http::Response> list_all(Context context, http::Request request);
  Task<http::Response> show(Context context, http::Request request);
  Task<http::Response> history(Context context, http::Request request);
  Task<http::Response> cancel(Context context, http::Request request);
  Task<http::Response> abandon(Context context, http::Request request);

  Task<http::Response> answer_list(Context context, http::Request request,
                                   std::optional<UserId> customer);

  Orders& orders_;
  Cursors cursors_;
};

/// The 201 and the 202, as they are stored with the key.
Answer render_placed(const Order& order);
Answer render_cancelling(const Order& order);

}  // namespace stoa::order
