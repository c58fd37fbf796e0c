#include "services/product-service/adapters/product_events.hpp"

#include "servicekit/json/json.hpp"

namespace stoa::product {
namespace {

struct ProductUpdated {
  std::string product_id;
};

}  // namespace

std::string product_updated(ProductId id) {
  return json::write(ProductUpdated{.product_id = id.str()});
}

}  // namespace stoa::product
