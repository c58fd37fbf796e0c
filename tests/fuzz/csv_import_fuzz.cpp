// A file that somebody uploads, from its bytes to products: the same products however it arrives,
// each record behind the one before, and no wrong one taken for a right one.
#include <algorithm>
#include <format>
#include <string>

#include "services/product-service/domain/shopify.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace stoa;

class Import {
 public:
  void take(product::CsvItem item) {
    const auto end = std::visit([](const auto& each) { return each.end; }, item);
    require(end.byte > end_.byte, "reading goes on");
    require(end.line >= end_.line, "lines are counted up");
    end_ = end;
    if (assembler_) {
      note(assembler_->add(std::move(item)));
      return;
    }
    const auto* header = std::get_if<product::CsvRecord>(&item);
    if (header == nullptr) return;
    auto columns = product::Columns::from_header(header->fields);
    if (columns) assembler_.emplace(std::move(*columns), currencies::eur);
  }

  std::string finish() {
    if (assembler_) note(assembler_->finish());
    return told_ + std::format("{} {}", end_.byte, end_.line);
  }

 private:
  void note(const std::optional<product::ImportedProduct>& made) {
    if (!made) return;
    told_ += std::format("{} {} {} {}\n", made->line, made->handle, made->variants.size(),
                         made->problems.size());
    if (made->refused()) return;
    for (const auto& variant : made->variants) {
      require(variant.price.minor_units() >= 0, "nothing costs less than nothing");
      require(!variant.quantity || *variant.quantity >= 0, "there is never less than nothing");
    }
  }

  std::optional<product::ProductAssembler> assembler_;
  product::CsvPosition end_;
  std::string told_;
};

std::string imported(std::string_view file, std::size_t piece) {
  product::CsvReader reader;
  Import import;
  for (std::size_t at = 0; at < file.size(); at += piece) {
    reader.push(file.substr(at, piece));
    while (auto item = reader.next()) import.take(std::move(*item));
  }
  reader.finish();
  while (auto item = reader.next()) import.take(std::move(*item));
  return import.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view file = fuzz::text_of(data, size);
  const std::size_t piece = 1 + fuzz::take_choice(file) % 64U;
  require(imported(file, piece) == imported(file, std::max<std::size_t>(file.size(), 1)),
          "a file is the same however it arrives");
  return 0;
}
