#pragma once

#include <string_view>

#include "services/notification-service/domain/notice.hpp"

namespace stoa::notification {

/// The sources of one mail's templates. `html` is the inside of the common frame.
struct MailTexts {
  std::string_view subject;
  std::string_view text;
  std::string_view html;
};
MailTexts mail_texts(NoticeKind kind);

/// Around each mail: {{subject}}, {{{body}}}, {{shop}}.
std::string_view html_frame();

}  // namespace stoa::notification
