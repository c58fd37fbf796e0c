#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/user-service/app/ports.hpp"

namespace stoa::user {

/// The store in memory, with a clock that tests turn. Passes the suite of the real one.
class FakeUserStore final : public UserStore {
 public:
  struct Row {
    User user;
    PasswordHash password;
    bool erased = false;
  };
  struct Session {
    UserId user;
    Instant expires_at{};
    std::optional<Instant> ended_at;
    std::optional<EndReason> reason;
  };
  struct Token {
    SessionId session;
    std::optional<Instant> replaced_at;
  };

  Task<bool> insert(Context, User user, PasswordHash password, NewSession session) override {
    if (by_email(user.email) != nullptr) co_return false;
    users[user.id] = {.user = user, .password = std::move(password)};
    open(user.id, session);
    facts.push_back("user.registered " + user.id.str());
    co_return true;
  }

  Task<std::optional<User>> find(Context, UserId id) override {
    const auto found = users.find(id);
    if (found == users.end() || found->second.erased) co_return std::nullopt;
    co_return found->second.user;
  }

  Task<std::optional<PasswordHash>> find_password(Context, UserId id) override {
    const auto found = users.find(id);
    if (found == users.end() || found->second.erased) co_return std::nullopt;
    co_return found->second.password;
  }

  Task<LoginRecord> find_login(Context, std::string email) override {
    LoginRecord record;
    if (const Row* row = by_email(email)) {
      record.account = {.user = row->user, .password = row->password};
    }
    const auto failed = failures.find(email);
    if (failed != failures.end()) {
      record.failures = {.count = failed->second.first, .since_last = now - failed->second.second};
    }
    co_return record;
  }

  Task<> record_failure(Context, std::string email) override {
    auto& [count, last] = failures[email];
    count = now - last > failures_memory ? 1 : count + 1;
    last = now;
    co_return;
  }

  Task<> open_session(Context, UserId user, std::string email, NewSession session) override {
    failures.erase(email);
    open(user, session);
    co_return;
  }

  Task<std::optional<PresentedSession>> rotate(Context, TokenHash token,
                                               TokenHash successor) override {
    const auto found = tokens.find(token);
    if (found == tokens.end()) co_return std::nullopt;
    Session& session = sessions[found->second.session];
    PresentedSession presented{.id = found->second.session,
                               .user = users[session.user].user,
                               .token = {.rotated = false,
                                         .ended = session.ended_at.has_value(),
                                         .expired = session.expires_at <= now}};
    if (found->second.replaced_at) {
      presented.token.since_replaced = now - *found->second.replaced_at;
      const auto next = tokens.find(successor);
      presented.token.successor_used = next != tokens.end() && next->second.replaced_at.has_value();
    } else if (!presented.token.ended && !presented.token.expired) {
      presented.token.rotated = true;
      found->second.replaced_at = now;
      session.expires_at = now + session_idle_max;
      tokens[successor] = {.session = presented.id, .replaced_at = std::nullopt};
    }
    co_return presented;
  }

  Task<> end_session_of(Context, TokenHash token) override {
    const auto found = tokens.find(token);
    if (found != tokens.end()) end(sessions[found->second.session], EndReason::logout);
    co_return;
  }

  Task<> end_session(Context, SessionId id, EndReason reason) override {
    const auto found = sessions.find(id);
    if (found != sessions.end()) end(found->second, reason);
    co_return;
  }

  Task<> end_sessions(Context, UserId user, std::optional<SessionId> except,
                      EndReason reason) override {
    for (auto& [id, session] : sessions) {
      if (session.user == user && id != except) end(session, reason);
    }
    co_return;
  }

  Task<Result<User>> update(Context, UserId id, UserChange change,
                            std::optional<std::int64_t> version) override {
    const auto found = users.find(id);
    if (found == users.end() || found->second.erased) {
      co_return refuse(ErrorKind::not_found, "user_not_found", "there is no such user");
    }
    Row& row = found->second;
    if (change.email) {
      const Row* other = by_email(*change.email);
      if (other != nullptr && other != &row) {
        co_return refuse(ErrorKind::conflict, "email_taken", "taken");
      }
    }
    if (version && *version != row.user.version) {
      co_return refuse(ErrorKind::precondition_failed, "etag_mismatch", "stale");
    }
    if (change.email) row.user.email = *change.email;
    if (change.name) row.user.name = *change.name;
    if (change.password) row.password = *change.password;
    ++row.user.version;
    co_return row.user;
  }

  Task<bool> erase(Context, UserId id) override {
    const auto found = users.find(id);
    if (found == users.end() || found->second.erased) co_return false;
    found->second = {.user = {.id = id}, .password = {}, .erased = true};
    for (auto& [session_id, session] : sessions) {
      if (session.user == id) end(session, EndReason::erased);
    }
    facts.push_back("user.deleted " + id.str());
    co_return true;
  }

  Task<RevokedSessions> revoked(Context, std::optional<Instant> since,
                                std::optional<SessionId> after) override {
    const Instant from = std::max(since.value_or(now - revocation_memory), now - revocation_memory);
    RevokedSessions told{.now = now, .sessions = {}};
    for (const auto& [id, session] : sessions) {
      if (session.ended_at && *session.ended_at >= from) {
        told.sessions.push_back({.id = id, .revoked_at = *session.ended_at});
      }
    }
    std::ranges::stable_sort(told.sessions, {}, &RevokedSession::revoked_at);
    if (after) {
      const auto last = std::ranges::find(told.sessions, *after, &RevokedSession::id);
      told.sessions.erase(told.sessions.begin(), std::next(last));
    }
    co_return told;
  }

  Task<bool> set_role(Context, std::string email, Role role) override {
    Row* row = by_email(email);
    if (row == nullptr) co_return false;
    row->user.role = role;
    ++row->user.version;
    co_return true;
  }

  Task<bool> purge(Context) override {
    std::erase_if(sessions, [&](const auto& entry) {
      return entry.second.ended_at.value_or(entry.second.expires_at) < now - std::chrono::days{30};
    });
    std::erase_if(tokens, [&](const auto& entry) {
      return !sessions.contains(entry.second.session) ||
             entry.second.replaced_at.value_or(now) < now - replaced_token_memory;
    });
    co_return false;
  }

  std::map<UserId, Row> users;
  std::map<SessionId, Session> sessions;
  std::map<TokenHash, Token> tokens;
  std::map<std::string, std::pair<std::int64_t, Instant>> failures;
  std::vector<std::string> facts;
  Instant now{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};

 private:
  Row* by_email(const std::string& email) {
    for (auto& [id, row] : users) {
      if (!row.erased && row.user.email == email) return &row;
    }
    return nullptr;
  }

  void open(UserId user, const NewSession& session) {
    sessions[session.id] = {.user = user,
                            .expires_at = now + session_idle_max,
                            .ended_at = std::nullopt,
                            .reason = std::nullopt};
    tokens[session.token] = {.session = session.id, .replaced_at = std::nullopt};
  }

  void end(Session& session, EndReason reason) const {
    if (session.ended_at) return;
    session.ended_at = now;
    session.reason = reason;
  }
};

}  // namespace stoa::user
