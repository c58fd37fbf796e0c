#pragma once

#include <array>
#include <csignal>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "servicekit/core/require.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/testing/scripted_server.hpp"

namespace stoa::notification {

struct FreeTls {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(SSL_CTX* settings) const { SSL_CTX_free(settings); }
  void operator()(SSL* session) const { SSL_free(session); }
};
template <class T>
using Tls = std::unique_ptr<T, FreeTls>;

/// A certificate that signs itself, hence its own private CA.
class PrivateCertificate {
 public:
  /// `host` as OpenSSL names it in a certificate: "IP:127.0.0.1", "DNS:mail.test".
  explicit PrivateCertificate(const std::string& host)
      : key_{EVP_EC_gen("P-256")}, certificate_{X509_new()} {
    X509* const made = certificate_.get();
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), -3'600);
    X509_gmtime_adj(X509_getm_notAfter(made), 3'600);
    X509_set_pubkey(made, key_.get());
    const std::array<unsigned char, 5> name{'S', 't', 'o', 'a', '\0'};
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC, name.data(), 4, -1,
                               0);
    X509_set_issuer_name(made, X509_get_subject_name(made));
    const Tls<X509_EXTENSION> extension{
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, host.c_str())};
    require(X509_add_ext(made, extension.get(), -1) == 1, "the name is well formed");
    require(X509_sign(made, key_.get(), EVP_sha256()) > 0, "the key signs");
    FILE* const file = std::fopen(path_.c_str(), "w");
    require(file != nullptr && PEM_write_X509(file, made) == 1, "the certificate can be stored");
    std::fclose(file);
  }
  PrivateCertificate(const PrivateCertificate&) = delete;
  PrivateCertificate& operator=(const PrivateCertificate&) = delete;
  ~PrivateCertificate() { std::filesystem::remove(path_); }

  std::string path() const { return path_.string(); }
  Tls<SSL_CTX> server() const {
    Tls<SSL_CTX> settings{SSL_CTX_new(TLS_server_method())};
    SSL_CTX_use_certificate(settings.get(), certificate_.get());
    SSL_CTX_use_PrivateKey(settings.get(), key_.get());
    return settings;
  }

 private:
  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("stoa-smtp-" + crypto::new_uuid().str() + ".pem");
  Tls<EVP_PKEY> key_;
  Tls<X509> certificate_;
};

/// An SMTP server with STARTTLS (RFC 3207) that takes mail after AUTH PLAIN (RFC 4954) only.
class TlsSmtpServer {
 public:
  struct Offer {
    bool starttls = true;
    std::string user = "stoa";
    std::string password = "right";
  };

  TlsSmtpServer(const PrivateCertificate& certificate, Offer offer)
      : settings_{certificate.server()}, offer_{std::move(offer)} {
    // OpenSSL writes to its socket with write(): a client that left is no reason to end.
    std::signal(SIGPIPE, SIG_IGN);
  }

  std::string address() const { return server_.address(); }
  std::vector<std::string> mails() {
    const std::lock_guard lock{mutex_};
    return mails_;
  }
  /// What came before TLS, a line each.
  std::vector<std::string> plain_commands() {
    const std::lock_guard lock{mutex_};
    return plain_commands_;
  }

 private:
  using Connection = testing_support::ScriptedConnection;

  /// The connection, with TLS over it or without.
  struct Channel {
    Connection& connection;
    Tls<SSL> tls{};
    std::string unread{};

    std::string read_until(std::string_view end) {
      if (!tls) return connection.read_until(end);
      std::array<char, 4'096> bytes{};
      std::size_t at = 0;
      while ((at = unread.find(end)) == std::string::npos) {
        const int got = SSL_read(tls.get(), bytes.data(), static_cast<int>(bytes.size()));
        if (got <= 0) return {};
        unread.append(bytes.data(), static_cast<std::size_t>(got));
      }
      std::string piece = unread.substr(0, at + end.size());
      unread.erase(0, piece.size());
      return piece;
    }

    void say(std::string_view answer) const {
      const std::string line = std::string{answer} + "\r\n";
      if (tls) {
        SSL_write(tls.get(), line.data(), static_cast<int>(line.size()));
      } else {
        connection.send(line);
      }
    }
  };

  bool start_tls(Channel& channel) const {
    channel.say("220 go on");
    Tls<SSL> tls{SSL_new(settings_.get())};
    SSL_set_fd(tls.get(), channel.connection.socket());
    if (SSL_accept(tls.get()) != 1) return false;
    channel.tls = std::move(tls);
    return true;
  }

  std::string expected_secret() const {
    const std::string text = '\0' + offer_.user + '\0' + offer_.password;
    std::string encoded(4 * ((text.size() + 2) / 3) + 1, '\0');
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                       reinterpret_cast<const unsigned char*>(text.data()),
                                       static_cast<int>(text.size()));
    encoded.resize(static_cast<std::size_t>(length));
    return encoded;
  }

  bool authenticate(Channel& channel, std::string_view command) const {
    constexpr std::string_view plain = "AUTH PLAIN";
    std::string secret{command.substr(plain.size())};
    if (secret == "\r\n") {
      channel.say("334 ");
      secret = " " + channel.read_until("\r\n");
    }
    const bool right = secret == " " + expected_secret() + "\r\n";
    channel.say(right ? "235 2.7.0 accepted" : "535 5.7.8 wrong user or password");
    return right;
  }

  void take_mail(Channel& channel) {
    channel.say("354 go on");
    std::string mail = channel.read_until("\r\n.\r\n");
    {
      const std::lock_guard lock{mutex_};
      mails_.push_back(std::move(mail));
    }
    channel.say("250 taken");
  }

  void greet(Channel& channel) const {
    channel.say("250-tls");
    if (channel.tls) {
      channel.say("250 AUTH PLAIN");
    } else {
      channel.say(offer_.starttls ? "250 STARTTLS" : "250 8BITMIME");
    }
  }

  void serve(Connection& connection) {
    Channel channel{.connection = connection};
    bool authenticated = false;
    channel.say("220 tls");
    while (true) {
      const std::string command = channel.read_until("\r\n");
      if (command.empty() || command.starts_with("QUIT")) return;
      if (!channel.tls) {
        const std::lock_guard lock{mutex_};
        plain_commands_.push_back(command);
      }
      if (command.starts_with("EHLO")) {
        greet(channel);
      } else if (command.starts_with("STARTTLS") && offer_.starttls) {
        if (!start_tls(channel)) return;
      } else if (command.starts_with("AUTH PLAIN")) {
        authenticated = authenticate(channel, command);
      } else if (command.starts_with("MAIL") && !authenticated) {
        channel.say("530 5.7.0 authentication required");
      } else if (command.starts_with("DATA")) {
        take_mail(channel);
      } else {
        channel.say("250 ok");
      }
    }
  }

  Tls<SSL_CTX> settings_;
  Offer offer_;
  std::mutex mutex_;
  std::vector<std::string> mails_;
  std::vector<std::string> plain_commands_;
  testing_support::ScriptedServer server_{[this](Connection& connection) { serve(connection); }};
};

}  // namespace stoa::notification
