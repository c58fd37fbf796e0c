#pragma once

#include <string_view>

#ifndef STOA_VERSION
#define STOA_VERSION "0.1.0"
#endif

namespace stoa {

/// Of the whole platform: one repository, one version. The build may set STOA_VERSION.
inline constexpr std::string_view version = STOA_VERSION;

}  // namespace stoa
