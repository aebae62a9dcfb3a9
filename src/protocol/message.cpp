#include "protocol/message.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

namespace memif::message {
namespace {

static_assert(std::endian::native == std::endian::little, "the structures below are the bytes of a little-endian wire");

// docs/protocol.md, "Messages". Packed: nothing after the type is aligned.
enum Type : std::uint16_t {
  type_ack = 1,
  type_hello = 2,
  type_init = 3,
  type_add_region = 4,
  type_add_ring = 5,
  type_connect = 6,
  type_connected = 7,
  type_disconnect = 8,
};

constexpr std::uint16_t ring_flag_s2m = 1;

//    0      2                                                                                                     128
//    | type |                                              0 ...                                                    |
struct [[gnu::packed]] RawAck {
  std::uint16_t type;
};
static_assert(sizeof(RawAck) == 2);

//    0      2           34            36            38           40             42             44               45
//    | type | name[32]  | min_version | max_version | max_region | max_m2s_ring | max_s2m_ring | max_log2_ring_size |
struct [[gnu::packed]] RawHello {
  std::uint16_t type;
  char name[name_size];
  std::uint16_t min_version;
  std::uint16_t max_version;
  std::uint16_t max_region;
  std::uint16_t max_m2s_ring;
  std::uint16_t max_s2m_ring;
  std::uint8_t max_log2_ring_size;
};
static_assert(offsetof(RawHello, name) == 2);
static_assert(offsetof(RawHello, min_version) == 34);
static_assert(offsetof(RawHello, max_version) == 36);
static_assert(offsetof(RawHello, max_region) == 38);
static_assert(offsetof(RawHello, max_m2s_ring) == 40);
static_assert(offsetof(RawHello, max_s2m_ring) == 42);
static_assert(offsetof(RawHello, max_log2_ring_size) == 44);
static_assert(sizeof(RawHello) == 45);

//    0      2         4            8      9                       33                              65
//    | type | version |     id     | mode |      secret[24]       |           name[32]            |
struct [[gnu::packed]] RawInit {
  std::uint16_t type;
  std::uint16_t version;
  std::uint32_t id;
  std::uint8_t mode;
  char secret[secret_size];
  char name[name_size];
};
static_assert(offsetof(RawInit, version) == 2);
static_assert(offsetof(RawInit, id) == 4);
static_assert(offsetof(RawInit, mode) == 8);
static_assert(offsetof(RawInit, secret) == 9);
static_assert(offsetof(RawInit, name) == 33);
static_assert(sizeof(RawInit) == 65);

//    0      2       4                        12
//    | type | index |          size          |
struct [[gnu::packed]] RawAddRegion {
  std::uint16_t type;
  std::uint16_t index;
  std::uint64_t size;
};
static_assert(offsetof(RawAddRegion, index) == 2);
static_assert(offsetof(RawAddRegion, size) == 4);
static_assert(sizeof(RawAddRegion) == 12);

//    0      2       4       6        8            12               13                 15
//    | type | flags | index | region |   offset   | log2_ring_size | private_hdr_size |
struct [[gnu::packed]] RawAddRing {
  std::uint16_t type;
  std::uint16_t flags;
  std::uint16_t index;
  std::uint16_t region;
  std::uint32_t offset;
  std::uint8_t log2_ring_size;
  std::uint16_t private_hdr_size;
};
static_assert(offsetof(RawAddRing, flags) == 2);
static_assert(offsetof(RawAddRing, index) == 4);
static_assert(offsetof(RawAddRing, region) == 6);
static_assert(offsetof(RawAddRing, offset) == 8);
static_assert(offsetof(RawAddRing, log2_ring_size) == 12);
static_assert(offsetof(RawAddRing, private_hdr_size) == 13);
static_assert(sizeof(RawAddRing) == 15);

//    0      2                               34
//    | type |      interface_name[32]       |       CONNECT and CONNECTED
struct [[gnu::packed]] RawConnect {
  std::uint16_t type;
  char interface_name[name_size];
};
static_assert(offsetof(RawConnect, interface_name) == 2);
static_assert(sizeof(RawConnect) == 34);

//    0      2            6                              102
//    | type |    code    |          string[96]          |
struct [[gnu::packed]] RawDisconnect {
  std::uint16_t type;
  std::uint32_t code;
  char text[reason_size];
};
static_assert(offsetof(RawDisconnect, code) == 2);
static_assert(offsetof(RawDisconnect, text) == 6);
static_assert(sizeof(RawDisconnect) == 102);

template <class Raw>
Raw load(std::span<const std::byte> datagram) {
  static_assert(std::is_trivially_copyable_v<Raw> && sizeof(Raw) <= datagram_size);
  Raw raw;
  std::memcpy(&raw, datagram.data(), sizeof raw);
  return raw;
}

template <class Raw>
Datagram store(const Raw& raw) {
  static_assert(std::is_trivially_copyable_v<Raw> && sizeof(Raw) <= datagram_size);
  Datagram datagram{};
  std::memcpy(datagram.data(), &raw, sizeof raw);
  return datagram;
}

template <std::size_t N>
std::string to_text(const char (&field)[N]) {
  std::string text(field, std::find(field, field + N, '\0'));
  const auto unprintable = [](char c) { return c < 0x20 || c > 0x7e; };
  std::replace_if(text.begin(), text.end(), unprintable, '?');
  return text;
}

template <std::size_t N>
void fill(char (&field)[N], std::string_view text) {
  std::copy_n(text.begin(), std::min(text.size(), N), field);
}

Error malformed(std::string text) { return {Errc::malformed_message, std::move(text)}; }

Message parse_hello(std::span<const std::byte> datagram) {
  const auto raw = load<RawHello>(datagram);
  return Hello{.name = to_text(raw.name),
               .min_version = raw.min_version,
               .max_version = raw.max_version,
               .max_region = raw.max_region,
               .max_m2s_ring = raw.max_m2s_ring,
               .max_s2m_ring = raw.max_s2m_ring,
               .max_log2_ring_size = raw.max_log2_ring_size};
}

Result<Message> parse_init(std::span<const std::byte> datagram) {
  const auto raw = load<RawInit>(datagram);
  if (raw.mode > static_cast<std::uint8_t>(Mode::punt_inject))
    return malformed("INIT: mode " + std::to_string(raw.mode) + " does not exist (0 to 2 do)");
  Init init{.version = raw.version, .id = raw.id, .mode = static_cast<Mode>(raw.mode), .name = to_text(raw.name)};
  std::copy(std::begin(raw.secret), std::end(raw.secret), init.secret.begin());
  return Message(std::move(init));
}

Message parse_add_region(std::span<const std::byte> datagram) {
  const auto raw = load<RawAddRegion>(datagram);
  return AddRegion{.index = raw.index, .size = raw.size};
}

// Flags other than S2M have no meaning yet; existing peers ignore them, and so is done here.
Message parse_add_ring(std::span<const std::byte> datagram) {
  const auto raw = load<RawAddRing>(datagram);
  return AddRing{.s2m = (raw.flags & ring_flag_s2m) != 0,
                 .index = raw.index,
                 .region = raw.region,
                 .offset = raw.offset,
                 .log2_ring_size = raw.log2_ring_size,
                 .private_hdr_size = raw.private_hdr_size};
}

Message parse_disconnect(std::span<const std::byte> datagram) {
  const auto raw = load<RawDisconnect>(datagram);
  return Disconnect{.code = raw.code, .text = to_text(raw.text)};
}

struct Emitter {
  Datagram operator()(const Ack&) const { return store(RawAck{type_ack}); }

  Datagram operator()(const Hello& hello) const {
    RawHello raw{};
    raw.type = type_hello;
    fill(raw.name, hello.name);
    raw.min_version = hello.min_version;
    raw.max_version = hello.max_version;
    raw.max_region = hello.max_region;
    raw.max_m2s_ring = hello.max_m2s_ring;
    raw.max_s2m_ring = hello.max_s2m_ring;
    raw.max_log2_ring_size = hello.max_log2_ring_size;
    return store(raw);
  }

  Datagram operator()(const Init& init) const {
    RawInit raw{};
    raw.type = type_init;
    raw.version = init.version;
    raw.id = init.id;
    raw.mode = static_cast<std::uint8_t>(init.mode);
    std::copy(init.secret.begin(), init.secret.end(), raw.secret);
    fill(raw.name, init.name);
    return store(raw);
  }

  Datagram operator()(const AddRegion& region) const {
    return store(RawAddRegion{type_add_region, region.index, region.size});
  }

  Datagram operator()(const AddRing& ring) const {
    const std::uint16_t flags = ring.s2m ? ring_flag_s2m : std::uint16_t{0};
    return store(RawAddRing{type_add_ring, flags, ring.index, ring.region, ring.offset, ring.log2_ring_size,
                            ring.private_hdr_size});
  }

  Datagram operator()(const Connect& connect) const { return named(type_connect, connect.interface_name); }
  Datagram operator()(const Connected& connected) const { return named(type_connected, connected.interface_name); }

  Datagram operator()(const Disconnect& disconnect) const {
    RawDisconnect raw{};
    raw.type = type_disconnect;
    raw.code = disconnect.code;
    fill(raw.text, disconnect.text);
    return store(raw);
  }

 private:
  static Datagram named(Type type, std::string_view interface_name) {
    RawConnect raw{};
    raw.type = type;
    fill(raw.interface_name, interface_name);
    return store(raw);
  }
};

}  // namespace

Secret to_secret(std::string_view text) noexcept {
  Secret secret{};
  std::copy_n(text.begin(), std::min(text.size(), secret.size()), secret.begin());
  return secret;
}

Result<Message> parse(std::span<const std::byte> datagram) {
  if (datagram.size() != datagram_size)
    return malformed("a message of " + std::to_string(datagram.size()) + " bytes instead of 128");
  const std::uint16_t type = load<RawAck>(datagram).type;
  switch (type) {
    case type_ack:
      return Message(Ack{});
    case type_hello:
      return parse_hello(datagram);
    case type_init:
      return parse_init(datagram);
    case type_add_region:
      return parse_add_region(datagram);
    case type_add_ring:
      return parse_add_ring(datagram);
    case type_connect:
      return Message(Connect{to_text(load<RawConnect>(datagram).interface_name)});
    case type_connected:
      return Message(Connected{to_text(load<RawConnect>(datagram).interface_name)});
    case type_disconnect:
      return parse_disconnect(datagram);
    default:
      return Error{Errc::unknown_message, "message type " + std::to_string(type) + " does not exist"};
  }
}

Datagram emit(const Message& message) { return std::visit(Emitter{}, message); }

bool carries_fd(const Message& message) noexcept {
  return std::holds_alternative<AddRegion>(message) || std::holds_alternative<AddRing>(message);
}

const char* name(const Message& message) noexcept {
  static constexpr const char* names[] = {"ACK",      "HELLO",   "INIT",      "ADD_REGION",
                                          "ADD_RING", "CONNECT", "CONNECTED", "DISCONNECT"};
  static_assert(std::size(names) == std::variant_size_v<Message>);
  return names[message.index()];
}

}  // namespace memif::message
