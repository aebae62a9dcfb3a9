#include "protocol/message.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

namespace memif::message {
namespace {

static_assert(std::endian::native == std::endian::little, "the structures below are the bytes of a little-endian wire");

// docs/protocol.md, "Messages". Packed: nothing after the type is aligned.
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
Raw load(std::span<const std::byte> bytes) {
  static_assert(std::is_trivially_copyable_v<Raw> && sizeof(Raw) <= size);
  Raw raw;
  std::memcpy(&raw, bytes.data(), sizeof raw);
  return raw;
}

template <class Raw>
Bytes store(const Raw& raw) {
  static_assert(std::is_trivially_copyable_v<Raw> && sizeof(Raw) <= size);
  Bytes bytes{};
  std::memcpy(bytes.data(), &raw, sizeof raw);
  return bytes;
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

RawConnect with_name(std::string_view interface_name) {
  RawConnect raw{};
  fill(raw.interface_name, interface_name);
  return raw;
}

Error malformed(std::string text) { return {Errc::malformed_message, std::move(text)}; }

// What the protocol has of each message: its type, its name, how many descriptors come with it, and its bytes. Without
// this a message does not compile.
template <class Message>
struct Wire;

template <>
struct Wire<Ack> {
  static constexpr std::uint16_t type = 1;
  static constexpr const char* name = "ACK";
  static constexpr std::size_t fds = 0;
  static Ack load(const RawAck&) { return {}; }
  static RawAck store(const Ack&) { return {}; }
};

template <>
struct Wire<Hello> {
  static constexpr std::uint16_t type = 2;
  static constexpr const char* name = "HELLO";
  static constexpr std::size_t fds = 0;
  static Hello load(const RawHello& raw) {
    return {.name = to_text(raw.name),
            .min_version = raw.min_version,
            .max_version = raw.max_version,
            .max_region = raw.max_region,
            .max_m2s_ring = raw.max_m2s_ring,
            .max_s2m_ring = raw.max_s2m_ring,
            .max_log2_ring_size = raw.max_log2_ring_size};
  }
  static RawHello store(const Hello& hello) {
    RawHello raw{};
    fill(raw.name, hello.name);
    raw.min_version = hello.min_version;
    raw.max_version = hello.max_version;
    raw.max_region = hello.max_region;
    raw.max_m2s_ring = hello.max_m2s_ring;
    raw.max_s2m_ring = hello.max_s2m_ring;
    raw.max_log2_ring_size = hello.max_log2_ring_size;
    return raw;
  }
};

template <>
struct Wire<Init> {
  static constexpr std::uint16_t type = 3;
  static constexpr const char* name = "INIT";
  static constexpr std::size_t fds = 0;
  static Result<Init> load(const RawInit& raw) {
    if (raw.mode > static_cast<std::uint8_t>(Mode::punt_inject))
      return malformed("INIT: mode " + std::to_string(raw.mode) + " does not exist (0 to 2 do)");
    Init init{.version = raw.version, .id = raw.id, .mode = static_cast<Mode>(raw.mode), .name = to_text(raw.name)};
    std::copy(std::begin(raw.secret), std::end(raw.secret), init.secret.begin());
    return init;
  }
  static RawInit store(const Init& init) {
    RawInit raw{};
    raw.version = init.version;
    raw.id = init.id;
    raw.mode = static_cast<std::uint8_t>(init.mode);
    std::copy(init.secret.begin(), init.secret.end(), raw.secret);
    fill(raw.name, init.name);
    return raw;
  }
};

template <>
struct Wire<AddRegion> {
  static constexpr std::uint16_t type = 4;
  static constexpr const char* name = "ADD_REGION";
  static constexpr std::size_t fds = 1;
  static AddRegion load(const RawAddRegion& raw) { return {.index = raw.index, .size = raw.size}; }
  static RawAddRegion store(const AddRegion& region) { return {0, region.index, region.size}; }
};

template <>
struct Wire<AddRing> {
  static constexpr std::uint16_t type = 5;
  static constexpr const char* name = "ADD_RING";
  static constexpr std::size_t fds = 1;
  // Flags other than S2M have no meaning yet; existing peers ignore them, and so is done here.
  static AddRing load(const RawAddRing& raw) {
    return {.s2m = (raw.flags & ring_flag_s2m) != 0,
            .index = raw.index,
            .region = raw.region,
            .offset = raw.offset,
            .log2_ring_size = raw.log2_ring_size,
            .private_hdr_size = raw.private_hdr_size};
  }
  static RawAddRing store(const AddRing& ring) {
    const std::uint16_t flags = ring.s2m ? ring_flag_s2m : std::uint16_t{0};
    return {0, flags, ring.index, ring.region, ring.offset, ring.log2_ring_size, ring.private_hdr_size};
  }
};

template <>
struct Wire<Connect> {
  static constexpr std::uint16_t type = 6;
  static constexpr const char* name = "CONNECT";
  static constexpr std::size_t fds = 0;
  static Connect load(const RawConnect& raw) { return {to_text(raw.interface_name)}; }
  static RawConnect store(const Connect& connect) { return with_name(connect.interface_name); }
};

template <>
struct Wire<Connected> {
  static constexpr std::uint16_t type = 7;
  static constexpr const char* name = "CONNECTED";
  static constexpr std::size_t fds = 0;
  static Connected load(const RawConnect& raw) { return {to_text(raw.interface_name)}; }
  static RawConnect store(const Connected& connected) { return with_name(connected.interface_name); }
};

template <>
struct Wire<Disconnect> {
  static constexpr std::uint16_t type = 8;
  static constexpr const char* name = "DISCONNECT";
  static constexpr std::size_t fds = 0;
  static Disconnect load(const RawDisconnect& raw) { return {.code = raw.code, .text = to_text(raw.text)}; }
  static RawDisconnect store(const Disconnect& disconnect) {
    RawDisconnect raw{};
    raw.code = disconnect.code;
    fill(raw.text, disconnect.text);
    return raw;
  }
};

template <class... Each>
constexpr bool have_types_of_their_own(const std::variant<Each...>*) {
  const std::uint16_t types[] = {Wire<Each>::type...};
  for (const std::uint16_t& one : types)
    if (std::find(std::begin(types), &one, one) != &one) return false;
  return true;
}
static_assert(have_types_of_their_own(static_cast<const Message*>(nullptr)), "two messages have one type");

template <class Message>
using Raw = decltype(Wire<Message>::store(std::declval<const Message&>()));

// Of the messages from the `i`th on, the one of this type.
template <std::size_t i = 0>
Result<Message> parse_type(std::uint16_t type, std::span<const std::byte> bytes) {
  if constexpr (i == std::variant_size_v<Message>) {
    return Error{Errc::unknown_message, "message type " + std::to_string(type) + " does not exist"};
  } else {
    using One = std::variant_alternative_t<i, Message>;
    if (type != Wire<One>::type) return parse_type<i + 1>(type, bytes);
    Result<One> parsed = Wire<One>::load(load<Raw<One>>(bytes));
    if (!parsed) return parsed.error();
    return Message(std::move(*parsed));
  }
}

// That of the message's own type.
template <class Function>
auto for_type(const Message& message, Function function) {
  return std::visit([&]<class One>(const One& one) { return function(one, Wire<One>()); }, message);
}

}  // namespace

Secret to_secret(std::string_view text) noexcept {
  Secret secret{};
  std::copy_n(text.begin(), std::min(text.size(), secret.size()), secret.begin());
  return secret;
}

Error wrong_size(std::size_t length) {
  return malformed("a message of " + std::to_string(length) + " bytes; all have " + std::to_string(size));
}

Result<Message> parse(std::span<const std::byte> bytes) {
  if (bytes.size() != size) return wrong_size(bytes.size());
  return parse_type(load<RawAck>(bytes).type, bytes);
}

Bytes emit(const Message& message) {
  return for_type(message, [](const auto& one, auto wire) {
    auto raw = wire.store(one);
    raw.type = wire.type;
    return store(raw);
  });
}

std::size_t fds_of(const Message& message) noexcept {
  return for_type(message, [](const auto&, auto wire) { return wire.fds; });
}

const char* name(const Message& message) noexcept {
  return for_type(message, [](const auto&, auto wire) { return wire.name; });
}

}  // namespace memif::message
