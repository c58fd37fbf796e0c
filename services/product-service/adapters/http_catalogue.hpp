#pragma once

#include "servicekit/http/server.hpp"

#include "services/product-service/adapters/cached_catalogue.hpp"
#include "services/product-service/adapters/cursor.hpp"
#include "services/product-service/app/catalogue.hpp"

namespace stoa::product {

/// Products, variants and prices over HTTP; contracts/http/product-service.yaml specifies them.
class CatalogueApi {
 public:
  CatalogueApi(Catalogue& catalogue, CachedCatalogue& cached, const Cursors& cursors,
               Currency default_currency)
      : catalogue_{catalogue},
        cached_{cached},
        cursors_{cursors},
        default_currency_{default_currency} {}

  void mount(http::Router& router);

 private:
  Task<http::Response> list(Context context, http::Request request);
  Task<http::Response> find(Context context, http::Request request);
  Task<http::Response> create(Context context, http::Request request);
  Task<http::Response> patch(Context context, http::Request request);
  Task<http::Response> archive(Context context, http::Request request);
  Task<http::Response> patch_variant(Context context, http::Request request);
  Task<http::Response> put_prices(Context context, http::Request request);

  Catalogue& catalogue_;
  CachedCatalogue& cached_;
  const Cursors& cursors_;
  Currency default_currency_;
};

/// The 201 of POST /products, as it is stored with its key.
Answer render_created(const Product& product);

}  // namespace stoa::product
