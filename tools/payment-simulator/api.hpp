#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "servicekit/core/secret.hpp"
#include "servicekit/http/server.hpp"

#include "tools/payment-simulator/book.hpp"
#include "tools/payment-simulator/journal.hpp"
#include "tools/payment-simulator/webhooks.hpp"

namespace stoa::simulator {

/// One line of the journal as text and back.
std::string to_line(const Record& record);
/// Throws std::runtime_error for a line that this program did not write.
Record from_line(std::string_view line);

/// Lets in who bears the provider key.
class KeyHolder final : public http::Authenticator {
 public:
  explicit KeyHolder(Secret<> key) : key_{std::move(key)} {}
  Task<Result<http::Identity>> authenticate(Context context, std::string_view token) override;

 private:
  Secret<> key_;
};

/// The provider's HTTP face. Everything runs on loop 0: the book has no lock.
class Api {
 public:
  struct Manner {
    std::chrono::milliseconds stall;
    std::chrono::milliseconds slow;
    std::chrono::milliseconds webhook_late;
    bool every_event;  ///< also what the merchant was answered at once
  };

  /// `webhooks` may be null: then nobody is told.
  Api(Book& book, Journal& journal, Webhooks* webhooks, Manner manner)
      : book_{book}, journal_{journal}, webhooks_{webhooks}, manner_{manner} {}

  void mount(http::Router& router);

 private:
  Task<http::Response> pay(Context context, http::Request request);
  Task<http::Response> capture(Context context, http::Request request);
  Task<http::Response> refund(Context context, http::Request request);
  Task<http::Response> withdraw(Context context, http::Request request);
  Task<http::Response> outcome(Context context, http::Request request);
  Task<http::Response> statement(Context context, http::Request request);

  /// Writes the decision's record, tells the merchant, and answers what stands under `key` once it
  /// is durable; `token` decides how late, when this call is the one that made it so.
  Task<http::Response> carry_out(std::string key, Decision decision);
  /// What stands under `key`, once that is durable.
  Task<http::Response> tell(std::string key);
  void announce(const Record& record);

  Book& book_;
  Journal& journal_;
  Webhooks* webhooks_;
  Manner manner_;
};

}  // namespace stoa::simulator
