#include "services/product-service/domain/shopify.hpp"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace stoa::product {
namespace {

const Currency euro = *Currency::parse("EUR");

constexpr const char* old_header =
    "Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 "
    "Value,Option2 Name,Option2 Value,Variant SKU,Variant Inventory Qty,Variant Price,Image "
    "Src,Image Position,Status\n";
constexpr const char* new_header =
    "Title,URL handle,Description,Vendor,Product category,Type,Tags,Published on online "
    "store,Status,SKU,Option1 name,Option1 value,Price,Inventory quantity,Product image URL\n";

std::vector<ImportedProduct> read(const std::string& text) {
  CsvReader reader;
  reader.push(text);
  reader.finish();
  const auto header = std::get<CsvRecord>(*reader.next());
  ProductAssembler assembler{*Columns::from_header(header.fields), euro};
  std::vector<ImportedProduct> products;
  while (auto item = reader.next()) {
    if (auto product = assembler.add(std::move(*item))) products.push_back(std::move(*product));
  }
  if (auto product = assembler.finish()) products.push_back(std::move(*product));
  return products;
}

TEST(Shopify, ReadsTheOldExport) {
  const auto products =
      read(std::string{old_header} +
           "tee,Classic Tee,\"<p>Soft,\nwarm</p>\",Acme,Apparel > Shirts,Shirts,\"summer, "
           "cotton\",TRUE,Size,S,Colour,Red,TEE-S,5,19.90,https://x/1.jpg,1,active\n"
           "tee,,,,,,,,,M,,Red,TEE-M,7,21,,,\n"
           "tee,,,,,,,,,,,,,,,https://x/2.jpg,2,\n"
           "mug,Mug,,,,,,false,Title,Default Title,,,MUG,3,4.50,,,active\n");

  ASSERT_EQ(products.size(), 2U);
  const ImportedProduct& tee = products[0];
  EXPECT_TRUE(tee.problems.empty());
  EXPECT_EQ(tee.name, "Classic Tee");
  EXPECT_EQ(tee.description, "<p>Soft,\nwarm</p>");
  EXPECT_EQ(tee.category, "Shirts");
  EXPECT_EQ(tee.tags, (std::vector<std::string>{"summer", "cotton"}));
  EXPECT_EQ(tee.row_count, 3);
  ASSERT_EQ(tee.variants.size(), 2U) << "the third row is an image";
  EXPECT_EQ(tee.variants[1].options, (Options{{"Colour", "Red"}, {"Size", "M"}}));
  EXPECT_EQ(tee.variants[1].title, "M / Red");
  EXPECT_EQ(tee.variants[1].price, (Money{2100, euro}));
  EXPECT_EQ(tee.variants[1].quantity, 7);

  EXPECT_EQ(products[1].status, Status::draft) << "Published says FALSE";
  EXPECT_TRUE(products[1].variants[0].options.empty()) << "there is nothing to choose";
}

TEST(Shopify, ReadsTheNewExport) {
  const auto products = read(std::string{new_header} +
                             "Mug,mug,Holds tea,Acme,Home > "
                             "Mugs,,kitchen,TRUE,Active,,Colour,Blue,4.5,12,https://x/1.jpg\n"
                             ",mug,,,,,,,,,,Green,4.75,,\n");

  ASSERT_EQ(products.size(), 1U);
  EXPECT_TRUE(products[0].problems.empty());
  EXPECT_EQ(products[0].category, "Home > Mugs");
  EXPECT_EQ(products[0].status, Status::active);
  ASSERT_EQ(products[0].variants.size(), 2U);
  EXPECT_EQ(products[0].variants[1].options, (Options{{"Colour", "Green"}}));
  EXPECT_EQ(products[0].variants[1].quantity, std::nullopt);
}

TEST(Shopify, MakesTheSameSkuForTheSameRowWhereTheFileHasNone) {
  const std::string text = std::string{new_header} + "Mug,mug,,,,,,,,,Colour,Dark Blue,4.5,,\n";

  EXPECT_EQ(read(text)[0].variants[0].sku, "MUG-DARK-BLUE");
  EXPECT_EQ(read(text)[0].variants[0].sku, read(text)[0].variants[0].sku);
}

TEST(Shopify, KeepsFormulasAsData) {
  const auto products =
      read("Handle,Title,Variant SKU,Variant Price\nx,=cmd|'/c calc'!A1,'00042,1\n");

  EXPECT_EQ(products[0].name, "=cmd|'/c calc'!A1");
  EXPECT_EQ(products[0].variants[0].sku, "00042") << "the apostrophe only says: text";
}

struct Wrong {
  const char* name;
  std::string row;
  std::int64_t line;
  std::string column;
  std::string_view code;
};

class ShopifyReports : public testing::TestWithParam<Wrong> {};

TEST_P(ShopifyReports, LineAndColumn) {
  const auto products = read(
      "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Inventory "
      "Qty,Status\nfine,Fine,,,F,1,1,active\n" +
      GetParam().row + "also-fine,Fine,,,G,1,1,active\n");

  ASSERT_EQ(products.size(), 3U);
  ASSERT_FALSE(products[1].problems.empty());
  const RowProblem& problem = products[1].problems.front();
  EXPECT_EQ(problem.line, GetParam().line);
  EXPECT_EQ(problem.column, GetParam().column);
  EXPECT_EQ(problem.code, GetParam().code);
  EXPECT_TRUE(products[1].refused());
  EXPECT_FALSE(products[0].refused() || products[2].refused());
}

INSTANTIATE_TEST_SUITE_P(
    Rows, ShopifyReports,
    testing::Values(
        Wrong{"NoHandle", ",Title,,,A,1,1,\n", 3, "Handle", "handle_missing"},
        Wrong{"BadHandle", "a b,Title,,,A,1,1,\n", 3, "Handle", "handle_invalid"},
        Wrong{"NoPrice", "p,T,,,A,,1,\n", 3, "Variant Price", "price_missing"},
        Wrong{"BadPrice", "p,T,,,A,free,1,\n", 3, "Variant Price", "price_invalid"},
        Wrong{"TooFinePrice", "p,T,,,A,1.999,1,\n", 3, "Variant Price", "price_invalid"},
        Wrong{"NegativePrice", "p,T,,,A,-1,1,\n", 3, "Variant Price", "price_invalid"},
        Wrong{"BadQuantity", "p,T,,,A,1,many,\n", 3, "Variant Inventory Qty", "quantity_invalid"},
        Wrong{"BadStatus", "p,T,,,A,1,1,sold\n", 3, "Status", "status_invalid"},
        Wrong{"OptionWithoutName", "p,T,,Red,A,1,1,\n", 3, "Option1 Name", "option_name_missing"},
        Wrong{"OptionWithoutValue", "p,T,Colour,,A,1,1,\n", 3, "Option1 Value",
              "option_value_missing"},
        Wrong{"LaterRow", "p,T,Colour,Red,A,1,1,\np,,,Blue,B,x,1,\n", 4, "Variant Price",
              "price_invalid"},
        Wrong{"FieldOnALaterLine", "p,\"T\nU\",,,A,x,1,\n", 4, "Variant Price", "price_invalid"},
        Wrong{"ControlCharacter", "p,T\x01,,,A,1,1,\n", 3, "Title", "text_invalid"}),
    [](const auto& wrong) { return wrong.param.name; });

TEST(Shopify, CountsANegativeQuantityAsNoneAndSaysSo) {
  const auto products = read("Handle,Title,Variant Price,Variant Inventory Qty\np,T,1,-3\n");

  EXPECT_FALSE(products[0].refused());
  EXPECT_EQ(products[0].problems[0].code, "quantity_negative");
  EXPECT_EQ(products[0].variants[0].quantity, 0);
}

TEST(Shopify, RefusesAHeaderWithoutAHandleOrWithOneTwice) {
  EXPECT_EQ(Columns::from_header({"Title", "Price"}).error().code, "import_header_invalid");
  EXPECT_EQ(Columns::from_header({"Handle", "URL handle"}).error().code, "import_header_invalid");
  EXPECT_TRUE(Columns::from_header({" HANDLE "}));
}

TEST(Shopify, TellsTheLineOfTheFieldInARowOfSeveral) {
  const auto products = read(
      "Handle,Title,Body (HTML),Variant SKU,Variant Inventory Qty,Variant Price\n"
      "tee,Tee,\"two\nlines\",TEE,5,1.00\n"
      "mug,Mug,\"three\nof\nthem\",MUG,5,free\n");

  ASSERT_EQ(products.size(), 2U);
  EXPECT_EQ(products[0].line, 2);
  EXPECT_EQ(products[0].variants.at(0).line, 3) << "where its SKU stands";
  EXPECT_EQ(products[0].variants.at(0).quantity_line, 3);
  EXPECT_EQ(products[1].problems.at(0).line, 6);
}

}  // namespace
}  // namespace stoa::product
