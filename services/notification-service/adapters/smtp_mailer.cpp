#include "services/notification-service/adapters/smtp_mailer.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <format>
#include <mutex>
#include <utility>
#include <vector>

#include <curl/curl.h>

#include "servicekit/core/require.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/runtime/crash_point.hpp"

namespace stoa::notification {
namespace {

using std::chrono::milliseconds;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// What libcurl has still to read of the message.
struct Remaining {
  const char* at;
  std::size_t size;
};

std::size_t read_more(char* buffer, std::size_t size, std::size_t count, void* source) {
  auto& remaining = *static_cast<Remaining*>(source);
  const std::size_t taken = std::min(size * count, remaining.size);
  std::memcpy(buffer, remaining.at, taken);
  remaining.at += taken;
  remaining.size -= taken;
  return taken;
}

// What a server says to its caller, whatever the command: 421 closes the channel (RFC 5321 section
// 3.8), the others want another login (RFC 4954 section 6).
constexpr std::array about_the_caller{421L, 454L, 530L, 534L, 535L, 538L};

// How a mail ended, in libcurl's words.
struct Ending {
  CURLcode code;
  long reply;             // to the last command
  bool is_read_whole;     // the message
  std::string_view text;  // "MAIL failed: 550"
};

// Greeting, EHLO, STARTTLS, AUTH and MAIL, which names our own address, tell of the server or of
// our settings. libcurl calls a refused MAIL, RCPT or DATA a send error and tells them apart in the
// text alone; an answer to the whole message that is not 250 is a weird one.
bool is_about_the_mail(const Ending& ending) {
  if (std::ranges::contains(about_the_caller, ending.reply)) return false;
  if (ending.code == CURLE_SEND_ERROR) return !ending.text.starts_with("MAIL ");
  return ending.code == CURLE_WEIRD_SERVER_REPLY && ending.is_read_whole;
}

// The reply to the last command decides (RFC 5321 section 4.2.1).
MailOutcome outcome_of(const Ending& ending) {
  if (ending.code == CURLE_OK) return {.kind = MailOutcome::Kind::sent};
  const bool is_refusal = ending.reply >= 400 && ending.reply < 600;
  if (!is_refusal || !is_about_the_mail(ending)) {
    throw Unavailable{
        std::format("mail server: {} ({})", curl_easy_strerror(ending.code), ending.reply)};
  }
  return {
      .kind = ending.reply >= 500 ? MailOutcome::Kind::refused : MailOutcome::Kind::refused_for_now,
      .detail = std::format("the mail server answered {}", ending.reply)};
}

}  // namespace

/// One libcurl handle and the connection it keeps.
class SmtpMailer::Session {
 public:
  Session() : handle_{curl_easy_init()} { require(handle_ != nullptr, "libcurl makes handles"); }
  ~Session() { curl_easy_cleanup(handle_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  MailOutcome send(const SmtpConfig& config, const std::string& recipient,
                   const std::string& message, milliseconds timeout) {
    // Keeps the connection, forgets the last mail.
    curl_easy_reset(handle_);
    const std::string url = "smtp://" + config.address;
    const std::string from = std::format("<{}>", config.sender.address);
    const std::string to = std::format("<{}>", recipient);
    const std::unique_ptr<curl_slist, FreeList> recipients{curl_slist_append(nullptr, to.c_str())};
    Remaining remaining{.at = message.data(), .size = message.size()};
    text_.front() = '\0';
    curl_easy_setopt(handle_, CURLOPT_ERRORBUFFER, text_.data());
    curl_easy_setopt(handle_, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle_, CURLOPT_PROTOCOLS_STR, "smtp");
    curl_easy_setopt(handle_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle_, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(handle_, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(config.connect_timeout.count()));
    curl_easy_setopt(handle_, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
    curl_easy_setopt(handle_, CURLOPT_USE_SSL,
                     static_cast<long>(config.starttls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    if (!config.ca_path.empty()) {
      // This CA alone: the system's would also sign for who took over our mail server's name.
      curl_easy_setopt(handle_, CURLOPT_CAINFO, config.ca_path.c_str());
      curl_easy_setopt(handle_, CURLOPT_CAPATH, nullptr);
    }
    if (!config.user.empty()) {
      curl_easy_setopt(handle_, CURLOPT_USERNAME, config.user.c_str());
      curl_easy_setopt(handle_, CURLOPT_PASSWORD, config.password.reveal().c_str());
    }
    curl_easy_setopt(handle_, CURLOPT_MAIL_FROM, from.c_str());
    curl_easy_setopt(handle_, CURLOPT_MAIL_RCPT, recipients.get());
    curl_easy_setopt(handle_, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(handle_, CURLOPT_READFUNCTION, &read_more);
    curl_easy_setopt(handle_, CURLOPT_READDATA, &remaining);
    runtime::crash_point("notification.mail.before_send");
    const CURLcode code = curl_easy_perform(handle_);
    runtime::crash_point("notification.mail.after_send");
    long reply = 0;
    curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &reply);
    return outcome_of(
        {.code = code, .reply = reply, .is_read_whole = remaining.size == 0, .text = text_.data()});
  }

 private:
  CURL* handle_;
  std::array<char, CURL_ERROR_SIZE> text_{};  ///< of the last failure
};

/// What the jobs of the pool use.
class SmtpMailer::Sessions {
 public:
  Sessions(SmtpConfig config, std::function<Instant()> now)
      : config_{std::move(config)}, now_{std::move(now)} {
    require(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, "libcurl starts");
  }
  ~Sessions() {
    idle_.clear();
    curl_global_cleanup();
  }
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  MailOutcome send(const Mail& mail, milliseconds timeout) {
    const std::string message = write_message(mail, config_.sender, now_());
    auto session = take();
    MailOutcome outcome = session->send(config_, mail.to.email, message, timeout);
    // A session whose mail could not be sent is dropped by the exception, with its connection.
    const std::lock_guard lock{mutex_};
    idle_.push_back(std::move(session));
    return outcome;
  }

 private:
  std::unique_ptr<Session> take() {
    const std::lock_guard lock{mutex_};
    if (idle_.empty()) return std::make_unique<Session>();
    auto session = std::move(idle_.back());
    idle_.pop_back();
    return session;
  }

  SmtpConfig config_;
  std::function<Instant()> now_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Session>> idle_;
};

SmtpMailer::SmtpMailer(CpuPool& pool, SmtpConfig config, std::function<Instant()> now,
                       telemetry::Telemetry& telemetry)
    : pool_{pool},
      timeout_{config.timeout},
      telemetry_{telemetry},
      sessions_{std::make_shared<Sessions>(std::move(config), std::move(now))} {}

SmtpMailer::~SmtpMailer() = default;

Task<MailOutcome> SmtpMailer::send(Context context, Mail mail) {
  const auto left =
      std::chrono::duration_cast<milliseconds>(context.deadline - std::chrono::steady_clock::now());
  const milliseconds timeout = std::min(timeout_, left);
  if (timeout <= milliseconds{0}) throw Unavailable{"no time left to send the mail"};
  const auto span = telemetry_.span(context.trace, "send mail", telemetry::SpanKind::client);
  mail.trace = span.context();
  auto work = [sessions = sessions_, mail = std::move(mail), timeout] {
    return sessions->send(mail, timeout);
  };
  MailOutcome outcome = co_await pool_.run(std::move(work));
  co_return outcome;
}

}  // namespace stoa::notification
