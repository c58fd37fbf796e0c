#include "servicekit/messaging/detail/amqp_connection.hpp"

#include <array>
#include <charconv>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#include <sys/socket.h>

#include "servicekit/core/unavailable.hpp"

namespace stoa::messaging::detail {
namespace {

constexpr std::chrono::milliseconds connect_timeout{3'000};
constexpr std::chrono::milliseconds rpc_timeout{5'000};
constexpr std::chrono::milliseconds close_timeout{300};
constexpr int default_port = 5672;
constexpr int frame_bytes_max = 131'072;
// Channel 1 carries messages. Questions about queues have one of their own, because the broker
// answers "no such queue" by closing the channel that asked.
constexpr amqp_channel_t message_channel = 1;
constexpr amqp_channel_t question_channel = 2;
constexpr int delivery_persistent = 2;

amqp_bytes_t bytes_of(std::string_view text) {
  // rabbitmq-c's type has no const; it does not write through it.
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
  return {text.size(), const_cast<char*>(text.data())};
}

std::string text_of(const amqp_bytes_t& bytes) {
  return {static_cast<const char*>(bytes.bytes), bytes.len};
}

timeval timeval_of(std::chrono::milliseconds duration) {
  return {.tv_sec = static_cast<time_t>(duration.count() / 1000),
          .tv_usec = static_cast<suseconds_t>((duration.count() % 1000) * 1000)};
}

std::string close_text(const amqp_method_t& method) {
  if (method.id == AMQP_CONNECTION_CLOSE_METHOD) {
    const auto* close = static_cast<const amqp_connection_close_t*>(method.decoded);
    return "the broker closed the connection: " + text_of(close->reply_text);
  }
  if (method.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const auto* close = static_cast<const amqp_channel_close_t*>(method.decoded);
    return "the broker closed the channel: " + text_of(close->reply_text);
  }
  return "unexpected answer of the broker";
}

std::string reply_text(const amqp_rpc_reply_t& reply) {
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
    return amqp_error_string2(reply.library_error);
  }
  return close_text(reply.reply);
}

amqp_table_entry_t text_entry(std::string_view key, std::string_view value) {
  amqp_table_entry_t entry{};
  entry.key = bytes_of(key);
  entry.value.kind = AMQP_FIELD_KIND_UTF8;
  entry.value.value.bytes = bytes_of(value);
  return entry;
}

std::uint64_t number_of(const amqp_bytes_t& bytes) {
  std::uint64_t number = 0;
  const char* begin = static_cast<const char*>(bytes.bytes);
  std::from_chars(begin, begin + bytes.len, number);
  return number;
}

void set_socket_options(int fd, std::chrono::seconds heartbeat) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // A write that fills the socket of a frozen broker would otherwise wait for ever: rabbitmq-c
  // looks at the heartbeat only while it reads.
  const auto patience = std::chrono::milliseconds{heartbeat * 2}.count();
  const auto user_timeout = static_cast<unsigned>(patience);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof user_timeout);
}

// Owned by `state`.
amqp_socket_t* new_socket(amqp_connection_state_t state, const std::string& ca_path) {
  amqp_socket_t* socket = ca_path.empty() ? amqp_tcp_socket_new(state) : amqp_ssl_socket_new(state);
  if (socket == nullptr) throw Unavailable{"no AMQP socket could be made"};
  if (ca_path.empty()) return socket;
  amqp_ssl_socket_set_verify_peer(socket, 1);
  amqp_ssl_socket_set_verify_hostname(socket, 1);
  if (amqp_ssl_socket_set_cacert(socket, ca_path.c_str()) != AMQP_STATUS_OK) {
    throw Unavailable{"the broker's CA cannot be read: " + ca_path};
  }
  return socket;
}

}  // namespace

std::pair<std::string, int> split_address(std::string_view address) {
  const auto colon = address.rfind(':');
  if (colon == std::string_view::npos) return {std::string{address}, default_port};
  int port = default_port;
  std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
  return {std::string{address.substr(0, colon)}, port};
}

void AmqpConnection::Close::operator()(amqp_connection_state_t state) const {
  amqp_destroy_connection(state);
}

AmqpConnection::AmqpConnection(const BrokerConfig& config, std::size_t first,
                               const std::string& name) {
  std::string why = "no broker address is configured";
  for (std::size_t i = 0; i < config.addresses.size() && !state_; ++i) {
    const auto& address = config.addresses[(first + i) % config.addresses.size()];
    try {
      state_ = connect(config, address, name);
    } catch (const Unavailable& failure) {
      why = failure.what();
    }
  }
  if (!state_) throw Unavailable{why};
  open_channels();
}

AmqpConnection::~AmqpConnection() {
  if (lost_) return;
  const timeval timeout = timeval_of(close_timeout);
  amqp_set_rpc_timeout(state_.get(), &timeout);
  amqp_connection_close(state_.get(), AMQP_REPLY_SUCCESS);
}

AmqpConnection::State AmqpConnection::connect(const BrokerConfig& config,
                                              const std::string& address, const std::string& name) {
  State state{amqp_new_connection()};
  amqp_socket_t* socket = new_socket(state.get(), config.ca_path);
  const auto [host, port] = split_address(address);
  const timeval patience = timeval_of(connect_timeout);
  if (const int failure = amqp_socket_open_noblock(socket, host.c_str(), port, &patience)) {
    throw Unavailable{"broker " + address + ": " + amqp_error_string2(failure)};
  }
  set_socket_options(amqp_get_sockfd(state.get()), config.heartbeat);

  // A frozen broker accepts and says nothing.
  amqp_set_handshake_timeout(state.get(), &patience);
  const timeval rpc = timeval_of(rpc_timeout);
  amqp_set_rpc_timeout(state.get(), &rpc);
  std::array entries{text_entry("connection_name", name)};
  const amqp_table_t properties{.num_entries = entries.size(), .entries = entries.data()};
  const auto reply = amqp_login_with_properties(
      state.get(), config.vhost.c_str(), 0, frame_bytes_max,
      static_cast<int>(config.heartbeat.count()), &properties, AMQP_SASL_METHOD_PLAIN,
      config.user.c_str(), config.password.reveal().c_str());
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
    throw Unavailable{"broker " + address + ": " + reply_text(reply)};
  }
  return state;
}

void AmqpConnection::open_channels() {
  amqp_channel_open(state_.get(), message_channel);
  check_reply("channel.open");
  amqp_confirm_select(state_.get(), message_channel);
  check_reply("confirm.select");
  amqp_channel_open(state_.get(), question_channel);
  check_reply("channel.open");
}

void AmqpConnection::lose(const std::string& why) {
  lost_ = true;
  throw Unavailable{why};
}

void AmqpConnection::check_reply(const char* doing) {
  const auto reply = amqp_get_rpc_reply(state_.get());
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) lose(std::string{doing} + ": " + reply_text(reply));
}

const amqp_queue_declare_ok_t* AmqpConnection::ask_queue(const std::string& queue) {
  const auto* answer = amqp_queue_declare(state_.get(), question_channel, bytes_of(queue), 1, 1, 0,
                                          0, amqp_empty_table);
  if (answer != nullptr) return answer;
  const auto reply = amqp_get_rpc_reply(state_.get());
  if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION ||
      reply.reply.id != AMQP_CHANNEL_CLOSE_METHOD) {
    lose("queue.declare: " + reply_text(reply));
  }
  const auto* close = static_cast<const amqp_channel_close_t*>(reply.reply.decoded);
  if (close->reply_code != AMQP_NOT_FOUND) lose("queue.declare: " + reply_text(reply));
  amqp_channel_close_ok_t agreed{};
  amqp_send_method(state_.get(), question_channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &agreed);
  amqp_channel_open(state_.get(), question_channel);
  check_reply("channel.open");
  return nullptr;
}

bool AmqpConnection::queue_exists(const std::string& queue) { return ask_queue(queue) != nullptr; }

std::size_t AmqpConnection::queue_length(const std::string& queue) {
  const auto* answer = ask_queue(queue);
  return answer == nullptr ? 0 : answer->message_count;
}

void AmqpConnection::consume(const std::string& queue, std::size_t prefetch) {
  amqp_basic_qos(state_.get(), message_channel, 0, static_cast<std::uint16_t>(prefetch), 0);
  check_reply("basic.qos");
  amqp_basic_consume(state_.get(), message_channel, bytes_of(queue), bytes_of("consumer"), 0, 0, 0,
                     amqp_empty_table);
  check_reply("basic.consume");
}

void AmqpConnection::cancel() {
  amqp_basic_cancel(state_.get(), message_channel, bytes_of("consumer"));
  check_reply("basic.cancel");
}

std::unique_ptr<Delivery> AmqpConnection::get(const std::string& queue) {
  const auto reply = amqp_basic_get(state_.get(), message_channel, bytes_of(queue), 0);
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) lose("basic.get: " + reply_text(reply));
  if (reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD) return nullptr;
  const auto* got = static_cast<const amqp_basic_get_ok_t*>(reply.reply.decoded);
  return std::make_unique<Delivery>(read_message(got->delivery_tag));
}

void AmqpConnection::ack(std::uint64_t tag, bool multiple) {
  if (const int failure = amqp_basic_ack(state_.get(), message_channel, tag, multiple ? 1 : 0)) {
    lose(std::string{"basic.ack: "} + amqp_error_string2(failure));
  }
}

std::uint64_t AmqpConnection::publish(const Publication& publication) {
  const std::string sequence = std::to_string(next_sequence_);
  std::vector<amqp_table_entry_t> headers;
  headers.reserve(publication.headers.size());
  for (const auto& [key, value] : publication.headers) headers.push_back(text_entry(key, value));

  amqp_basic_properties_t properties{};
  properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                      AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TYPE_FLAG |
                      AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_HEADERS_FLAG;
  properties.content_type = bytes_of("application/cloudevents+json");
  properties.delivery_mode = delivery_persistent;
  properties.message_id = bytes_of(publication.message_id);
  properties.type = bytes_of(publication.type);
  // Names the publication when the broker returns it; nobody else reads it.
  properties.correlation_id = bytes_of(sequence);
  properties.headers = {.num_entries = static_cast<int>(headers.size()), .entries = headers.data()};
  const int failure = amqp_basic_publish(
      state_.get(), message_channel, bytes_of(publication.exchange),
      bytes_of(publication.routing_key), 1, 0, &properties, bytes_of(publication.body));
  if (failure != AMQP_STATUS_OK) {
    lose(std::string{"basic.publish: "} + amqp_error_string2(failure));
  }
  unsettled_.emplace(next_sequence_, std::chrono::steady_clock::now());
  return next_sequence_++;
}

void AmqpConnection::hold_back(bool held) const {
  const int corked = held ? 1 : 0;
  ::setsockopt(amqp_get_sockfd(state_.get()), IPPROTO_TCP, TCP_CORK, &corked, sizeof corked);
}

std::chrono::steady_clock::time_point AmqpConnection::oldest_unsettled() const {
  return unsettled_.empty() ? std::chrono::steady_clock::time_point::max()
                            : unsettled_.begin()->second;
}

void AmqpConnection::dispatch() {
  for (;;) {
    amqp_frame_t frame;
    const timeval now{};
    const int status = amqp_simple_wait_frame_noblock(state_.get(), &frame, &now);
    if (status == AMQP_STATUS_TIMEOUT) break;
    if (status != AMQP_STATUS_OK) lose(std::string{"connection: "} + amqp_error_string2(status));
    take_frame(frame);
  }
  amqp_maybe_release_buffers(state_.get());
}

void AmqpConnection::take_frame(const amqp_frame_t& frame) {
  if (frame.frame_type != AMQP_FRAME_METHOD) return;
  const amqp_method_t& method = frame.payload.method;
  switch (method.id) {
    case AMQP_BASIC_DELIVER_METHOD:
      return take_delivery(*static_cast<const amqp_basic_deliver_t*>(method.decoded));
    case AMQP_BASIC_RETURN_METHOD:
      return take_return(*static_cast<const amqp_basic_return_t*>(method.decoded));
    case AMQP_BASIC_ACK_METHOD: {
      const auto& ack = *static_cast<const amqp_basic_ack_t*>(method.decoded);
      return take_confirm(ack.delivery_tag, ack.multiple != 0, Settled::Outcome::confirmed);
    }
    case AMQP_BASIC_NACK_METHOD: {
      const auto& nack = *static_cast<const amqp_basic_nack_t*>(method.decoded);
      return take_confirm(nack.delivery_tag, nack.multiple != 0, Settled::Outcome::refused);
    }
    case AMQP_BASIC_CANCEL_METHOD:
      lose("the broker ended the consumer: its queue was deleted or moved");
    default:
      lose(close_text(method));
  }
}

Delivery AmqpConnection::read_message(std::uint64_t tag) {
  amqp_message_t message;
  const auto reply = amqp_read_message(state_.get(), message_channel, &message, 0);
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) lose("message: " + reply_text(reply));
  Delivery delivery{.tag = tag, .message_id = {}, .type = {}, .body = text_of(message.body)};
  const auto& properties = message.properties;
  if ((properties._flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0) {
    delivery.message_id = text_of(properties.message_id);
  }
  if ((properties._flags & AMQP_BASIC_TYPE_FLAG) != 0) delivery.type = text_of(properties.type);
  if ((properties._flags & AMQP_BASIC_HEADERS_FLAG) != 0) {
    for (int i = 0; i < properties.headers.num_entries; ++i) {
      const auto& entry = properties.headers.entries[i];
      if (entry.value.kind != AMQP_FIELD_KIND_UTF8) continue;
      delivery.headers.emplace(text_of(entry.key), text_of(entry.value.value.bytes));
    }
  }
  amqp_destroy_message(&message);
  return delivery;
}

void AmqpConnection::take_delivery(const amqp_basic_deliver_t& deliver) {
  deliveries_.push_back(read_message(deliver.delivery_tag));
}

void AmqpConnection::take_return(const amqp_basic_return_t&) {
  amqp_message_t message;
  const auto reply = amqp_read_message(state_.get(), message_channel, &message, 0);
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) lose("returned message: " + reply_text(reply));
  // Comes before the confirm of the same publication, which then tells the outcome.
  returned_.emplace(number_of(message.properties.correlation_id), true);
  amqp_destroy_message(&message);
}

void AmqpConnection::take_confirm(std::uint64_t sequence, bool multiple, Settled::Outcome outcome) {
  const auto first = multiple ? unsettled_.begin() : unsettled_.find(sequence);
  auto last = first;
  while (last != unsettled_.end() && last->first <= sequence) {
    const bool unroutable = returned_.erase(last->first) > 0;
    settled_.push_back({last->first, unroutable ? Settled::Outcome::returned : outcome});
    ++last;
    if (!multiple) break;
  }
  unsettled_.erase(first, last);
}

void AmqpConnection::wait(const std::vector<int>& wake_fds, std::chrono::milliseconds timeout) {
  const bool buffered =
      amqp_frames_enqueued(state_.get()) != 0 || amqp_data_in_buffer(state_.get()) != 0;
  if (!buffered) {
    std::vector<pollfd> watched;
    watched.push_back({.fd = amqp_get_sockfd(state_.get()), .events = POLLIN, .revents = 0});
    for (const int fd : wake_fds) watched.push_back({.fd = fd, .events = POLLIN, .revents = 0});
    ::poll(watched.data(), watched.size(), static_cast<int>(timeout.count()));
  }
  dispatch();
}

void AmqpConnection::settle(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!unsettled_.empty()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) lose("the broker did not confirm in time");
    wait({}, std::min(left, std::chrono::milliseconds{500}));
  }
}

std::vector<Settled> AmqpConnection::take_settled() { return std::exchange(settled_, {}); }

}  // namespace stoa::messaging::detail
