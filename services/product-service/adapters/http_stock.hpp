#pragma once

#include "servicekit/http/server.hpp"

#include "services/product-service/adapters/cursor.hpp"
#include "services/product-service/app/stock.hpp"

namespace stoa::product {

/// Stock over HTTP, for staff.
class StockApi {
 public:
  StockApi(Stock& stock, const Cursors& cursors) : stock_{stock}, cursors_{cursors} {}

  void mount(http::Router& router);

 private:
  Task<http::Response> level(Context context, http::Request request);
  Task<http::Response> adjust(Context context, http::Request request);
  Task<http::Response> movements(Context context, http::Request request);

  Stock& stock_;
  const Cursors& cursors_;
};

/// The 200 of a stock adjustment, as it is stored with its key.
Answer render_adjusted(const StockLevel& level);

}  // namespace stoa::product
