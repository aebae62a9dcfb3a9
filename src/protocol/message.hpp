// The control messages: parsed with checks, and written. docs/protocol.md, "Messages".
//
// What the peer sends is bytes until parse() has made a Message of it. What parse() gives out is well formed
// (known type, mode in range, names printable); whether it makes sense at this point is for the handshake to say.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include <memif/config.hpp>
#include <memif/error.hpp>

namespace memif::message {

inline constexpr std::size_t size = 128;      // of each message
inline constexpr std::size_t name_size = 32;  // names may fill their field, without a NUL
inline constexpr std::size_t secret_size = 24;
inline constexpr std::size_t reason_size = 96;  // the string of DISCONNECT

using Bytes = std::array<std::byte, size>;
using Secret = std::array<char, secret_size>;  // NUL-padded; all zero: none

// The bytes of a configured secret as INIT carries them.
Secret to_secret(std::string_view text) noexcept;

struct Ack {
  friend bool operator==(const Ack&, const Ack&) = default;
};

// The server's limits. max_region and max_*_ring are the highest index accepted, not a count.
struct Hello {
  std::string name{};
  std::uint16_t min_version = 0;
  std::uint16_t max_version = 0;
  std::uint16_t max_region = 0;
  std::uint16_t max_m2s_ring = 0;
  std::uint16_t max_s2m_ring = 0;
  std::uint8_t max_log2_ring_size = 0;
  friend bool operator==(const Hello&, const Hello&) = default;
};

struct Init {
  std::uint16_t version = 0;
  std::uint32_t id = 0;
  Mode mode = Mode::ethernet;
  Secret secret{};
  std::string name{};
  friend bool operator==(const Init&, const Init&) = default;
};

struct AddRegion {
  std::uint16_t index = 0;
  std::uint64_t size = 0;
  friend bool operator==(const AddRegion&, const AddRegion&) = default;
};

struct AddRing {
  bool s2m = false;
  std::uint16_t index = 0;
  std::uint16_t region = 0;
  std::uint32_t offset = 0;
  std::uint8_t log2_ring_size = 0;
  std::uint16_t private_hdr_size = 0;
  friend bool operator==(const AddRing&, const AddRing&) = default;
};

struct Connect {
  std::string interface_name{};
  friend bool operator==(const Connect&, const Connect&) = default;
};

struct Connected {
  std::string interface_name{};
  friend bool operator==(const Connected&, const Connected&) = default;
};

struct Disconnect {
  std::uint32_t code = 0;
  std::string text{};
  friend bool operator==(const Disconnect&, const Disconnect&) = default;
};

using Message = std::variant<Ack, Hello, Init, AddRegion, AddRing, Connect, Connected, Disconnect>;

// Errc::malformed_message unless there are exactly 128 bytes and their fields are in range; Errc::unknown_message
// for a type that the protocol does not have. In names and texts, everything but printable ASCII becomes '?', so that
// a peer cannot write escape sequences to an operator's terminal.
Result<Message> parse(std::span<const std::byte> bytes);

// What parse() says of as many bytes, also for what did not fit.
Error wrong_size(std::size_t length);

// Unused bytes are zero; a string longer than its field is cut.
Bytes emit(const Message& message);

// How many file descriptors come with it: one with ADD_REGION and ADD_RING, none with the others.
std::size_t fds_of(const Message& message) noexcept;

const char* name(const Message& message) noexcept;  // "ADD_REGION"

}  // namespace memif::message
