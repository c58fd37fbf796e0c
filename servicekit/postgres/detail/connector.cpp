#include "servicekit/postgres/detail/connector.hpp"

#include <algorithm>
#include <array>
#include <format>
#include <optional>
#include <ranges>
#include <stdexcept>

#include <arpa/inet.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <libpq-fe.h>
#include <netdb.h>

namespace stoa::postgres::detail {
namespace {

// The server ends a transaction that its client forgot: after the longest deadline of one.
// PostgreSQL heeds this only when it is below transaction_timeout.
constexpr int idle_in_transaction_ms = 5'000;
// Twice what any statement or transaction may take. A transaction of which half has arrived, since
// its process stopped in the middle, is not idle to PostgreSQL and would hold its locks.
constexpr int transaction_timeouts = 2;
// The server notices within this time that a client is gone while its statement runs: closing a
// connection then also frees its locks.
constexpr int client_check_ms = 500;

std::string* find(Parameters& parameters, std::string_view keyword) {
  const auto found =
      std::ranges::find(parameters, keyword, &std::pair<std::string, std::string>::first);
  return found == parameters.end() ? nullptr : &found->second;
}

std::string text_of(const Parameters& parameters, std::string_view keyword) {
  const auto found =
      std::ranges::find(parameters, keyword, &std::pair<std::string, std::string>::first);
  return found == parameters.end() ? std::string{} : found->second;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (const auto part : std::views::split(list, ',')) {
    parts.emplace_back(std::string_view{part});
  }
  return parts;
}

bool is_address_or_socket(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> buffer{};
  return host.empty() || host.starts_with('/') || host.starts_with('@') ||
         inet_pton(AF_INET, host.c_str(), buffer.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), buffer.data()) == 1;
}

bool needs_resolving(const Parameters& parameters) {
  if (!text_of(parameters, "hostaddr").empty()) return false;
  return !std::ranges::all_of(split(text_of(parameters, "host")), is_address_or_socket);
}

std::vector<std::string> addresses_of(const std::string& host) {
  if (is_address_or_socket(host)) return {host};
  const addrinfo wanted{.ai_flags = AI_ADDRCONFIG,
                        .ai_family = AF_UNSPEC,
                        .ai_socktype = SOCK_STREAM,
                        .ai_protocol = 0,
                        .ai_addrlen = 0,
                        .ai_addr = nullptr,
                        .ai_canonname = nullptr,
                        .ai_next = nullptr};
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &wanted, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner{found, &freeaddrinfo};
  std::vector<std::string> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (getnameinfo(one->ai_addr, one->ai_addrlen, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      addresses.emplace_back(text.data());
    }
  }
  return addresses;
}

// libpq takes lists of equal length: a host with two addresses is listed twice. The name stays,
// since TLS verifies it.
std::expected<Parameters, std::string> resolved(Parameters parameters) {
  const auto hosts = split(text_of(parameters, "host"));
  const auto ports = split(text_of(parameters, "port"));
  std::string host_list;
  std::string address_list;
  std::string port_list;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    for (const std::string& address : addresses_of(hosts[i])) {
      const char* comma = address_list.empty() ? "" : ",";
      host_list += comma + hosts[i];
      address_list += comma + address;
      port_list += comma + (ports.size() == 1 ? ports[0] : ports.size() > i ? ports[i] : "");
    }
  }
  if (address_list.empty()) return std::unexpected("the database's name cannot be resolved yet");
  *find(parameters, "host") = host_list;
  if (auto* port = find(parameters, "port")) *port = port_list;
  parameters.emplace_back("hostaddr", address_list);
  return parameters;
}

// A list of one is for all servers.
void rotate(Parameters& parameters, std::string_view keyword, std::size_t first) {
  std::string* list = find(parameters, keyword);
  if (list == nullptr || !list->contains(',')) return;
  auto parts = split(*list);
  std::ranges::rotate(parts, parts.begin() + static_cast<std::ptrdiff_t>(first % parts.size()));
  list->clear();
  for (const std::string& part : parts) *list += (list->empty() ? "" : ",") + part;
}

// libpq asks the next server when one refuses. One that says nothing takes all the time that there
// is for an attempt, so the next attempt begins behind it.
Parameters beginning_at(Parameters parameters, std::size_t first) {
  for (const char* keyword : {"host", "hostaddr", "port"}) rotate(parameters, keyword, first);
  return parameters;
}

}  // namespace

ParameterArrays::ParameterArrays(const Parameters& parameters) {
  for (const auto& [keyword, value] : parameters) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
}

Parameters parameters_of(const DatabaseConfig& config) {
  char* problem = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options{
      PQconninfoParse(config.dsn.reveal().c_str(), &problem), &PQconninfoFree};
  const std::unique_ptr<char, decltype(&PQfreemem)> problem_owner{problem, &PQfreemem};
  if (!options) throw std::runtime_error{"the database's DSN cannot be parsed"};

  Parameters parameters;
  for (const PQconninfoOption* one = options.get(); one->keyword != nullptr; ++one) {
    if (one->val != nullptr) parameters.emplace_back(one->keyword, one->val);
  }
  const auto add = [&](std::string_view keyword, std::string value) {
    if (find(parameters, keyword) == nullptr) parameters.emplace_back(keyword, std::move(value));
  };
  add("application_name", config.application_name);
  add("connect_timeout", "5");
  add("target_session_attrs", "read-write");
  add("tcp_user_timeout", "5000");
  add("keepalives_idle", "5");
  add("keepalives_interval", "2");
  add("keepalives_count", "3");
  add("gssencmode", "disable");  // its probe for credentials is synchronous
  add("client_encoding", "UTF8");
  // jit off: it costs more than any statement of ours takes. enable_seqscan off: a prepared
  // statement keeps the plan of the day it was prepared, and that of an empty table reads the whole
  // of a full one until autovacuum comes round (payments: 693 instead of 1,917 orders a second at
  // 30,000 rows). What has no index is read as before.
  const std::string ours = std::format(
      "-c statement_timeout={} -c transaction_timeout={} -c idle_in_transaction_session_timeout={} "
      "-c client_connection_check_interval={} -c jit=off -c enable_seqscan=off -c TimeZone=UTC -c "
      "DateStyle=ISO -c plan_cache_mode={}",
      config.statement_timeout.count(), transaction_timeouts * config.statement_timeout.count(),
      idle_in_transaction_ms, client_check_ms,
      config.generic_plans ? "force_generic_plan" : "auto");
  if (auto* own = find(parameters, "options")) {
    *own = ours + " " + *own;  // a later -c wins
  } else {
    parameters.emplace_back("options", ours);
  }
  return parameters;
}

struct Connector::Impl {
  Parameters parameters;
  std::optional<boost::asio::thread_pool> thread{};  ///< only when there are names to resolve
};

Connector::Connector(const DatabaseConfig& config)
    : impl_{std::make_unique<Impl>(parameters_of(config))} {
  if (needs_resolving(impl_->parameters)) impl_->thread.emplace(1U);
}

Connector::~Connector() {
  if (impl_->thread) impl_->thread->join();
}

void Connector::resolve(boost::asio::io_context& loop, std::size_t first,
                        std::function<void(std::expected<Parameters, std::string>)> then) {
  if (!impl_->thread) {
    boost::asio::post(loop, [then = std::move(then),
                             parameters = beginning_at(impl_->parameters, first)]() mutable {
      then(std::move(parameters));
    });
    return;
  }
  boost::asio::post(
      *impl_->thread, [then = std::move(then), parameters = beginning_at(impl_->parameters, first),
                       &loop, guard = boost::asio::make_work_guard(loop)]() mutable {
        auto outcome = resolved(std::move(parameters));
        boost::asio::post(loop, [then = std::move(then), outcome = std::move(outcome)]() mutable {
          then(std::move(outcome));
        });
      });
}

}  // namespace stoa::postgres::detail
