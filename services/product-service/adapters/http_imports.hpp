#pragma once

#include "servicekit/http/server.hpp"

#include "services/product-service/app/imports.hpp"

namespace stoa::product {

/// Imports over HTTP: the streamed upload and the report.
class ImportApi {
 public:
  explicit ImportApi(Imports& imports) : imports_{imports} {}

  void mount(http::Router& router);

 private:
  Task<http::Response> upload(Context context, http::Request request);
  Task<std::optional<Result<Answer>>> receive(Context context, http::Request request,
                                              Imports::Upload* upload);
  Task<http::Response> find(Context context, http::Request request);

  Imports& imports_;
};

/// The 202 of an upload, as it is stored with its key.
Answer render_accepted(const Import& import);

}  // namespace stoa::product
