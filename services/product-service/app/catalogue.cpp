#include "services/product-service/app/catalogue.hpp"

#include <utility>

#include "servicekit/core/unavailable.hpp"

namespace stoa::product {
namespace {

constexpr int creating_rounds_max = 3;
constexpr std::size_t handle_suffix_length = 6;

/// A handle nobody else has: the end of the id is random.
std::string distinct_handle(const Product& product) {
  const std::string id = product.id.str();
  const std::string suffix = "-" + id.substr(id.size() - handle_suffix_length);
  return product.handle.substr(0, handle_bytes_max - suffix.size()) + suffix;
}

}  // namespace

Task<std::optional<Product>> Catalogue::find(Context context, ProductId id) {
  co_return co_await store_.find(std::move(context), id);
}

Task<ProductPage> Catalogue::list(Context context, ListQuery query) {
  co_return co_await store_.list(std::move(context), std::move(query));
}

Task<Result<Answer>> Catalogue::create(Context context, Create command) {
  NewProduct& wanted = command.product;
  wanted.id = ProductId{sources_.next_uuid()};
  wanted.now = sources_.now();
  std::vector<std::int64_t> stock;
  for (NewVariant& variant : wanted.variants) {
    variant.id = VariantId{sources_.next_uuid()};
    stock.push_back(variant.stock);
  }
  auto product = make_product(wanted);
  if (!product) co_return std::unexpected(std::move(product.error()));

  for (int round = 0; round < creating_rounds_max; ++round) {
    if (command.key) {
      auto answered = co_await store_.look_up(context, *command.key);
      if (!answered) co_return std::unexpected(std::move(answered.error()));
      if (*answered) co_return std::move(**answered);
    }
    Answer answer = sources_.render_created(*product);
    InsertProduct insert{.product = *product,
                         .stock = stock,
                         .actor = command.actor,
                         .event_id = sources_.next_uuid(),
                         .key = command.key,
                         .answer = answer};
    const auto inserted = co_await store_.insert(context, std::move(insert));
    if (!inserted) co_return std::unexpected(inserted.error());
    switch (*inserted) {
      case Inserted::stored: {
        std::vector<ProductId> changed{product->id};
        co_await cache_.forget(context, std::move(changed));
        co_return answer;
      }
      case Inserted::key_taken:
        break;
      case Inserted::handle_taken:
        if (wanted.handle) {
          co_return refuse(ErrorKind::conflict, "handle_taken", "another product has this handle",
                           {{"/handle", "handle_taken", "must be unique in the shop"}});
        }
        product->handle = distinct_handle(*product);
        break;
    }
  }
  throw Unavailable{"the idempotency key is being used by a twin of this request"};
}

Task<Result<Product>> Catalogue::patch(Context context, ProductId id,
                                       std::optional<std::int64_t> version, ProductPatch patch) {
  std::function<Result<Product>(Product)> edit = [patch = std::move(patch),
                                                  now = sources_.now()](Product product) {
    return patched(std::move(product), patch, now);
  };
  co_return co_await change(std::move(context), id, version, std::move(edit));
}

Task<Result<Product>> Catalogue::archive(Context context, ProductId id,
                                         std::optional<std::int64_t> version) {
  std::function<Result<Product>(Product)> edit = [now = sources_.now()](Product product) {
    return Result<Product>{archived(std::move(product), now)};
  };
  co_return co_await change(std::move(context), id, version, std::move(edit));
}

Task<Result<Product>> Catalogue::patch_variant(Context context, VariantId id,
                                               std::optional<std::int64_t> version,
                                               VariantPatch patch) {
  std::function<Result<Product>(Product)> edit = [id, patch = std::move(patch),
                                                  now = sources_.now()](Product product) {
    return with_variant(std::move(product), id, patch, now);
  };
  co_return co_await change_variant(std::move(context), id, version, std::move(edit));
}

Task<Result<Product>> Catalogue::set_prices(Context context, VariantId id,
                                            std::optional<std::int64_t> version,
                                            std::vector<Money> prices) {
  std::function<Result<Product>(Product)> edit = [id, prices = std::move(prices),
                                                  now = sources_.now()](Product product) {
    return with_prices(std::move(product), id, prices, now);
  };
  co_return co_await change_variant(std::move(context), id, version, std::move(edit));
}

Task<Result<Product>> Catalogue::change(Context context, ProductId id,
                                        std::optional<std::int64_t> version,
                                        std::function<Result<Product>(Product)> edit) {
  ChangeProduct command{
      .product = id, .version = version, .event_id = sources_.next_uuid(), .edit = std::move(edit)};
  auto product = co_await store_.change(context, std::move(command));
  if (!product) co_return std::unexpected(std::move(product.error()));
  std::vector<ProductId> changed{id};
  co_await cache_.forget(context, std::move(changed));
  co_return std::move(*product);
}

Task<Result<Product>> Catalogue::change_variant(Context context, VariantId id,
                                                std::optional<std::int64_t> version,
                                                std::function<Result<Product>(Product)> edit) {
  const auto product = co_await store_.product_of(context, id);
  if (!product)
    co_return refuse(ErrorKind::not_found, "variant_not_found", "there is no such variant");
  co_return co_await change(std::move(context), *product, version, std::move(edit));
}

}  // namespace stoa::product
