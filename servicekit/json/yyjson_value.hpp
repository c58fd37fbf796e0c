#pragma once

#include <yyjson.h>

// Private to this folder.
namespace stoa::json::detail {

/// yyjson's readers take pointers to what they do not change.
inline yyjson_val* for_yyjson(const yyjson_val* value) {
  return const_cast<yyjson_val*>(value);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

}  // namespace stoa::json::detail
