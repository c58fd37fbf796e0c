#pragma once

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/tcp_socket.h>

#include "servicekit/messaging/detail/topology.hpp"
#include "servicekit/testing/private_rabbitmq.hpp"

namespace stoa::messaging {

/// What only an operator may do: empty, delete and make queues of the shared broker.
class OperatorClient {
 public:
  OperatorClient() : state_{amqp_new_connection()} {
    auto& broker = testing_support::PrivateRabbitmq::shared();
    amqp_socket_t* socket = amqp_tcp_socket_new(state_.get());
    if (amqp_socket_open(socket, "127.0.0.1", broker.port()) != 0) {
      throw std::runtime_error{"operator: no connection"};
    }
    check(amqp_login(state_.get(), "/", 0, 131'072, 0, AMQP_SASL_METHOD_PLAIN, "operator",
                     broker.password("operator").reveal().c_str()));
    amqp_channel_open(state_.get(), 1);
    check(amqp_get_rpc_reply(state_.get()));
  }

  void purge(const std::string& queue) {
    amqp_queue_purge(state_.get(), 1, bytes(queue));
    check(amqp_get_rpc_reply(state_.get()));
  }

  /// Every work queue and what belongs to it.
  void purge_all() {
    for (const auto& route : topology::routes) {
      const std::string queue{route.queue};
      purge(queue);
      if (queue == "stoa.unconsumed") continue;
      for (const auto& delay : topology::retry_delays)
        purge(queue + "." + std::string{delay.suffix});
      purge(queue + "." + std::string{topology::wait_delay.suffix});
      purge(queue + "." + std::string{topology::dead_suffix});
    }
  }

  std::size_t length(const std::string& queue) {
    const auto* answer =
        amqp_queue_declare(state_.get(), 1, bytes(queue), 1, 1, 0, 0, amqp_empty_table);
    check(amqp_get_rpc_reply(state_.get()));
    return answer->message_count;
  }

  void remove(const std::string& queue) {
    amqp_queue_delete(state_.get(), 1, bytes(queue), 0, 0);
    check(amqp_get_rpc_reply(state_.get()));
  }

  /// A work queue as the topology has it, bound by one key.
  void make(const std::string& queue, const std::string& key) {
    const std::string service = queue.substr(0, queue.find('.'));
    const std::string exchange = service + ".retry";
    const std::string dead = queue + ".dead";
    std::array entries{text("x-queue-type", "quorum"),
                       text("x-overflow", "reject-publish"),
                       text("x-dead-letter-strategy", "at-least-once"),
                       text("x-dead-letter-exchange", exchange),
                       text("x-dead-letter-routing-key", dead),
                       amqp_table_entry_t{}};
    entries.back().key = bytes("x-delivery-limit");
    entries.back().value.kind = AMQP_FIELD_KIND_I32;
    entries.back().value.value.i32 = 100;
    const amqp_table_t arguments{.num_entries = entries.size(), .entries = entries.data()};
    amqp_queue_declare(state_.get(), 1, bytes(queue), 0, 1, 0, 0, arguments);
    check(amqp_get_rpc_reply(state_.get()));
    for (const auto& [source, routing] :
         {std::pair{std::string{"stoa.events"}, key}, std::pair{exchange, queue}}) {
      amqp_queue_bind(state_.get(), 1, bytes(queue), bytes(source), bytes(routing),
                      amqp_empty_table);
      check(amqp_get_rpc_reply(state_.get()));
    }
  }

 private:
  struct Close {
    void operator()(amqp_connection_state_t state) const {
      amqp_connection_close(state, AMQP_REPLY_SUCCESS);
      amqp_destroy_connection(state);
    }
  };

  static amqp_bytes_t bytes(std::string_view value) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): the C interface has no const bytes
    return {value.size(), const_cast<char*>(value.data())};
  }
  static amqp_table_entry_t text(std::string_view key, std::string_view value) {
    amqp_table_entry_t entry{};
    entry.key = bytes(key);
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = bytes(value);
    return entry;
  }
  static void check(const amqp_rpc_reply_t& reply) {
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) throw std::runtime_error{"operator: refused"};
  }

  std::unique_ptr<amqp_connection_state_t_, Close> state_;
};

}  // namespace stoa::messaging
