#pragma once

#include <functional>

#include "servicekit/core/secret.hpp"
#include "servicekit/http/server.hpp"

#include "services/payment-service/adapters/cursor.hpp"
#include "services/payment-service/app/refunds.hpp"

namespace stoa::payment {

/// The HTTP face of the service; contracts/http/payment-service.yaml is its specification.
class HttpApi {
 public:
  /// `provider_event_stored` is called after a webhook was stored: it wakes whoever acts on it.
  HttpApi(Refunds& refunds, PaymentStore& store, Cursors cursors, Secret<> webhook_secret,
          std::function<void()> provider_event_stored)
      : refunds_{refunds},
        store_{store},
        cursors_{std::move(cursors)},
        webhook_secret_{std::move(webhook_secret)},
        provider_event_stored_{std::move(provider_event_stored)} {}

  void mount(http::Router& router);

 private:
  Task<http::Response> list(Context context, http::Request request);
  Task<http::Response> show(Context context, http::Request request);
  Task<http::Response> refund(Context context, http::Request request);
  Task<http::Response> accounts(Context context, http::Request request);
  Task<http::Response> entries(Context context, http::Request request);
  Task<http::Response> webhook(Context context, http::Request request);
  Task<http::Response> state_of_order(Context context, http::Request request);

  Refunds& refunds_;
  PaymentStore& store_;
  Cursors cursors_;
  Secret<> webhook_secret_;
  std::function<void()> provider_event_stored_;
};

}  // namespace stoa::payment
