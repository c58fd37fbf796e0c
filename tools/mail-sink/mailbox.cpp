#include "tools/mail-sink/mailbox.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "servicekit/core/ascii.hpp"
#include "servicekit/json/json.hpp"

#include "tools/mail-sink/mime.hpp"

namespace stoa::mail {
namespace {

/// The line before each message of the journal.
struct Envelope {
  std::string from;
  std::vector<std::string> to;
  std::int64_t received_ms;
  std::int64_t size;
};

}  // namespace

Mailbox::Mailbox(Limits limits, std::filesystem::path journal)
    : limits_{limits}, journal_path_{std::move(journal)} {
  if (journal_path_.empty()) return;
  replay();
  journal_.open(journal_path_, std::ios::binary | std::ios::app);
  if (!journal_) throw std::runtime_error{"cannot write " + journal_path_.string()};
}

void Mailbox::replay() {
  std::ifstream in{journal_path_, std::ios::binary};
  std::string line;
  std::uintmax_t whole = 0;
  while (std::getline(in, line)) {
    const auto envelope = json::read<Envelope>(line);
    if (!envelope || envelope->size < 0) break;
    std::string raw(static_cast<std::size_t>(envelope->size), '\0');
    if (!in.read(raw.data(), envelope->size) || in.get() != '\n') break;
    keep({.from = envelope->from,
          .to = envelope->to,
          .received_at = Instant{std::chrono::milliseconds{envelope->received_ms}},
          .raw = std::move(raw)});
    whole = static_cast<std::uintmax_t>(in.tellg());
  }
  in.close();
  // What follows is the message that a kill -9 interrupted; its sender was never told 250.
  if (std::filesystem::exists(journal_path_)) std::filesystem::resize_file(journal_path_, whole);
}

void Mailbox::add(Mail mail) {
  if (journal_.is_open()) {
    journal_ << json::write(Envelope{.from = mail.from,
                                     .to = mail.to,
                                     .received_ms = mail.received_at.time_since_epoch().count(),
                                     .size = static_cast<std::int64_t>(mail.raw.size())})
             << '\n'
             << mail.raw << '\n'
             << std::flush;
    if (!journal_) throw std::runtime_error{"cannot write " + journal_path_.string()};
  }
  keep(std::move(mail));
}

void Mailbox::keep(Mail mail) {
  const Mime mime = parse_mime(mail.raw);
  mail.subject = mime.header("subject");
  mail.message_id = mime.header("message-id");
  mail.id = next_id_++;
  bytes_ += mail.raw.size();
  mails_.push_back(std::move(mail));
  while (mails_.size() > limits_.messages_max || bytes_ > limits_.bytes_max) {
    bytes_ -= mails_.front().raw.size();
    mails_.pop_front();
  }
}

std::vector<const Mail*> Mailbox::find(const Filter& filter, std::size_t limit) const {
  const auto to = filter.to.transform([](const std::string& text) { return lower_case(text); });
  const auto subject =
      filter.subject.transform([](const std::string& text) { return lower_case(text); });
  std::vector<const Mail*> found;
  for (auto mail = mails_.rbegin(); mail != mails_.rend() && found.size() < limit; ++mail) {
    if (to && !std::ranges::contains(mail->to, *to)) continue;
    if (subject && !lower_case(mail->subject).contains(*subject)) continue;
    found.push_back(&*mail);
  }
  return found;
}

const Mail* Mailbox::find(std::uint64_t id) const {
  const auto found = std::ranges::lower_bound(mails_, id, {}, &Mail::id);
  return found != mails_.end() && found->id == id ? &*found : nullptr;
}

void Mailbox::clear() {
  mails_.clear();
  bytes_ = 0;
  if (!journal_.is_open()) return;
  journal_.close();
  journal_.open(journal_path_, std::ios::binary | std::ios::trunc);
}

}  // namespace stoa::mail
