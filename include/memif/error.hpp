// Errors: failed calls, and reasons of links that ended.
//
// Setup calls report an Error; the throwing wrappers turn it into an Exception. The data path does neither: it returns
// counts. A link that ends has a Reason.
#pragma once

#include <string>
#include <system_error>
#include <utility>
#include <variant>

#include <memif/version.hpp>

namespace memif {

// Conditions of memif's own. A failed system call is reported by its errno in std::system_category() instead.
enum class Errc {
  invalid_config = 1,   // a field of a configuration is out of its range
  address_in_use,       // another live listener has the socket
  not_a_socket,         // the path names something that is not a socket
  unknown_id,           // no interface of that id on this socket
  already_connected,    // the interface has a peer
  role_mismatch,        // the interface of that id is a client itself
  mode_mismatch,        // ethernet, ip and punt/inject do not mix
  secret_required,      // the interface has a secret and the client sent none
  wrong_secret,         // the secrets differ
  unsupported_version,  // no protocol version in common
  too_many_regions,     // a region index beyond what was offered
  too_many_rings,       // a ring index beyond what was offered
  bad_region,           // a region that cannot be used: index, size or file
  bad_ring,             // a ring that cannot be used: index, place or size
  wrong_cookie,         // a ring without the magic number
  missing_fd,           // a message that must carry a file descriptor carried none
  unexpected_fd,        // a message carried file descriptors that it must not carry
  malformed_message,    // of the wrong length, or with a field out of range
  unknown_message,      // of a type that the protocol does not have
  unexpected_message,   // not at this point of the handshake
  not_an_eventfd,       // an interrupt descriptor of another kind
  unsealed_memory,      // memory that the peer can shrink, where sealed memory is required
  truncated_memory,     // the peer shrank memory in use
  peer_not_allowed,     // the peer's credentials are not on the allow-list
  timed_out,            // no progress within the handshake deadline
  peer_refused,         // the peer sent DISCONNECT before the link was up
  peer_disconnected,    // the peer sent DISCONNECT
  peer_gone,            // the control channel closed without a word
  broken_ring,          // the peer's index or chain is invalid
  closed,               // this side removed or disconnected the interface
  evicted,              // dropped to make room for newer half-open connections
  too_much_memory,      // the peer's regions come to more than InterfaceConfig::max_peer_memory
  fds_not_closed,       // too much that the peer's user left behind is still being closed
  pool_exhausted,       // the pool has too few free buffers for a link's rings
};

// The category of Errc; its name is "memif".
const std::error_category& memif_category() noexcept;
std::error_code make_error_code(Errc code) noexcept;

struct Error {
  std::error_code code;
  std::string message;  // what, where, why; without the program's name
};

// The Error of a failed system call: `error_number` is its errno, and the message becomes "what: text of the errno".
Error system_error(int error_number, std::string what);

// An Error, thrown. what() is the Error's message.
class Exception : public std::system_error {
 public:
  explicit Exception(const Error& error) : std::system_error(error.code, error.message), message_(error.message) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

// Why a link ended or was refused.
struct Reason {
  std::error_code code;
  bool from_peer = false;  // `text` is the peer's, from its DISCONNECT
  std::string text;
};

// A value or the Error that prevented it.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  // The value; without one they throw std::bad_variant_access. error() throws it where there is a value.
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  Error& error() { return std::get<1>(state_); }
  const Error& error() const { return std::get<1>(state_); }

  // The value, or the error thrown as an Exception.
  T value() && { return std::move(checked()); }
  T& value() & { return checked(); }
  const T& value() const& { return const_cast<Result&>(*this).checked(); }

 private:
  T& checked() {
    if (!ok()) throw Exception(error());
    return std::get<0>(state_);
  }

  std::variant<T, Error> state_;
};

// The Result of a call that returns no value.
struct Nothing {};
using Status = Result<Nothing>;

}  // namespace memif

template <>
struct std::is_error_code_enum<memif::Errc> : std::true_type {};
