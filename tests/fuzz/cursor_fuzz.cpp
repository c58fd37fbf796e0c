// Cursors of lists: what comes back is what was given, to the list it was given for, or is refused.
#include <string>

#include "services/order-service/adapters/cursor.hpp"
#include "services/payment-service/adapters/cursor.hpp"
#include "services/product-service/adapters/cursor.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace stoa;

std::string changed(std::string cursor, std::string_view changes) {
  for (std::size_t i = 0; i + 1 < changes.size(); i += 2) {
    cursor[static_cast<unsigned char>(changes[i]) % cursor.size()] = changes[i + 1];
  }
  return cursor;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input = fuzz::text_of(data, size);
  const bool made_up = (fuzz::take_choice(input) & 1U) != 0;
  const Secret<> key{std::string{"a key that all replicas share"}};
  const Uuid id = *Uuid::parse("01932f6e-7c00-7000-8000-000000000001");

  const order::Cursors orders{key};
  const std::string of_order = orders.after({id}, "mine");
  const std::string order_cursor = made_up ? std::string{input} : changed(of_order, input);
  const auto order = orders.read(order_cursor, "mine");
  require(!order || (order->uuid == id && order_cursor == of_order), "an order's cursor is ours");
  require(!orders.read(order_cursor, "another's"), "a cursor belongs to one list");

  const product::Cursors products{key};
  const product::PageEnd end{.key = "teapot", .id = id};
  const std::string of_product = products.sign("newest", end);
  const std::string product_cursor = made_up ? std::string{input} : changed(of_product, input);
  const auto product = products.verify("newest", product_cursor);
  require(!product || (product->id == id && product->key == end.key), "a product's cursor is ours");
  require(!products.verify("oldest", product_cursor), "a cursor belongs to one list");

  const payment::Cursors payments{key};
  const std::string of_entry = payments.write({.transaction = id, .line = 2}, "all");
  const std::string entry_cursor = made_up ? std::string{input} : changed(of_entry, input);
  const auto entry = payments.read(entry_cursor, "all");
  require(!entry || (entry->transaction == id && entry->line == 2), "an entry's cursor is ours");
  require(!payments.read(entry_cursor, "some"), "a cursor belongs to one list");
  return 0;
}
