#pragma once

#include <string_view>

namespace stoa {

/// The release that this program is of: STOA_VERSION, which the image sets, since all programs come
/// from one build and each is released by a number of its own. "unreleased" without it.
std::string_view version();

}  // namespace stoa
