#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "servicekit/core/secret.hpp"
#include "servicekit/core/time.hpp"
#include "servicekit/core/uuid.hpp"

namespace stoa::crypto {

using Digest = std::array<std::uint8_t, 32>;

/// SHA-256 (FIPS 180-4).
Digest sha256(std::string_view bytes);

/// The same over bytes that come piece by piece.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::string_view bytes);
  /// Called once, after the last piece.
  Digest digest();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// HMAC-SHA-256 (RFC 2104).
Digest hmac_sha256(const Secret<>& key, std::string_view bytes);

/// In time that depends on the lengths only.
bool equal_constant_time(std::string_view a, std::string_view b);

/// `count` bytes of the system's generator (getrandom).
std::string random_bytes(std::size_t count);

/// Version 8 UUID over SHA-256 of the parts, each preceded by its length, so that ("ab","c") and
/// ("a","bc") differ.
Uuid name_based_uuid(std::initializer_list<std::string_view> parts);

/// A version 7 UUID of now, from a generator of the calling thread. 60 ns.
Uuid new_uuid();

/// Argon2id (RFC 9106), 19 MiB, 2 passes, 1 lane, as a PHC string. Takes about 25 ms of CPU: run it
/// on a CpuPool.
std::string hash_password(const Secret<>& password);

/// Same cost, also for a malformed hash, which is false like a wrong password.
bool verify_password(const std::string& phc, const Secret<>& password);

/// Encrypts with AES-256-GCM (NIST SP 800-38D) under a key of 32 bytes: a random nonce of 12 bytes,
/// the cipher text, the tag of 16. `context` is authenticated with it and must be given again: what
/// was sealed as one thing cannot be opened as another. A bug (require) for a key of another size.
std::string seal(const Secret<>& key, std::string_view plain, std::string_view context);

/// Empty when the key or the context is another, or a byte was changed.
std::optional<std::string> open_sealed(const Secret<>& key, std::string_view sealed,
                                       std::string_view context);

}  // namespace stoa::crypto
