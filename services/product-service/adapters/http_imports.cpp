#include "services/product-service/adapters/http_imports.hpp"

#include <exception>
#include <format>
#include <span>
#include <tuple>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "servicekit/core/encoding.hpp"
#include "servicekit/crypto/crypto.hpp"

#include "services/product-service/adapters/http_conditions.hpp"
#include "services/product-service/adapters/import_json.hpp"

namespace stoa::product {
namespace {

namespace net = boost::asio;

constexpr std::string_view writer = "catalog:write";
constexpr std::size_t piece_bytes = 256 * 1024;  // of one row: big enough to be few, small to read
constexpr std::chrono::milliseconds upload_timeout{300'000};
constexpr std::chrono::milliseconds write_timeout{10'000};

}  // namespace

Answer render_accepted(const Import& import) {
  const std::string location = "/api/v1/imports/" + import.id.str();
  auto response = http::accepted(location, to_json(ImportReport{.import = import}));
  return {.status = response.status,
          .headers = std::move(response.headers),
          .body = std::move(response.body)};
}

void ImportApi::mount(http::Router& router) {
  using http::needs;
  router.post("/api/v1/imports", needs(writer),
              [this](Context context, http::Request request) {
                return upload(std::move(context), request);
              },
              {.body_max = static_cast<std::size_t>(import_bytes_max),
               .streamed = true,
               .content_type = "text/csv",
               .deadline = upload_timeout});
  router.get("/api/v1/imports/{id}", needs(writer), [this](Context context, http::Request request) {
    return find(std::move(context), request);
  });
}

Task<http::Response> ImportApi::upload(Context context, http::Request request) {
  const auto parameters = http::QueryString::parse(request, {"currency", "set_stock"});
  if (!parameters) co_return http::problem(parameters.error());
  const auto set_stock = parameters->flag("set_stock");
  if (!set_stock) co_return http::problem(set_stock.error());
  const auto currency = Currency::parse(parameters->text("currency").value_or(""));
  if (!currency) {
    co_return http::problem(
        {.kind = ErrorKind::malformed,
         .code = "bad_parameter",
         .detail = "currency is needed: the code of ISO 4217 that the file's prices are in"});
  }
  auto upload = co_await imports_.begin(context.within(write_timeout), *currency,
                                        set_stock->value_or(false), actor_of(request));

  // Whatever ends the upload early, its sender or the database: what came is removed first.
  const auto executor = co_await net::this_coro::executor;
  constexpr auto or_failure = net::as_tuple(net::use_awaitable_t<Executor>{});
  auto outcome = co_await net::co_spawn(executor, receive(context, request, &upload), or_failure);
  const std::exception_ptr failure = std::get<0>(outcome);
  if (failure) {
    co_await imports_.discard(Context{}.within(write_timeout), upload.import.id);
    std::rethrow_exception(failure);
  }
  auto answer = std::move(std::get<1>(outcome));
  if (!*answer) co_return http::problem(answer->error());
  co_return to_response(std::move(**answer));
}

Task<std::optional<Result<Answer>>> ImportApi::receive(Context context, http::Request request,
                                                       Imports::Upload* upload) {
  crypto::Sha256 digest;
  std::string piece;
  while (true) {
    const std::string bytes = co_await request.next_chunk();
    digest.add(bytes);
    piece += bytes;
    const bool last = bytes.empty();
    if (piece.size() >= piece_bytes || (last && !piece.empty())) {
      co_await imports_.append(context.within(write_timeout), upload, std::exchange(piece, {}));
    }
    if (last) break;
  }
  const std::string fingerprint = hex(digest.digest());
  auto key = request_key(request);
  if (!key) {
    co_await imports_.discard(context.within(write_timeout), upload->import.id);
    co_return std::unexpected(std::move(key.error()));
  }
  if (*key) {
    // The same bytes priced in another currency are another request.
    const auto meant = crypto::sha256(std::format(
        "{} {} {}", fingerprint, upload->import.currency.code(), upload->import.set_stock));
    (*key)->fingerprint = hex(meant);
  }
  co_return co_await imports_.complete(context.within(write_timeout), std::move(*upload),
                                       fingerprint, std::move(*key));
}

Task<http::Response> ImportApi::find(Context context, http::Request request) {
  const auto id = http::id_param<ImportId>(request, "id", "import_not_found");
  if (!id) co_return http::problem(id.error());
  const auto report = co_await imports_.find(std::move(context), *id);
  if (!report) co_return http::problem(report.error());

  http::Response response = http::ok(to_json(*report));
  response.add_header("cache-control", "private, no-store");
  co_return response;
}

}  // namespace stoa::product
