#pragma once

#include <string>

#include "services/product-service/app/imports.hpp"

// The wire form of an import and its report.
namespace stoa::product {

std::string to_json(const ImportReport& report);

}  // namespace stoa::product
