// Packet headers: what is raw and what is checked are different types.
//
// Raw bytes are a View, always of memory that the peer cannot write: copy first, then parse. Each parse function either
// returns a checked value or nothing; a checked value's lengths hold. A view may be the beginning of a longer packet:
// then `total` is the length of the whole, and payload views end where the view does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/address.hpp"

namespace memif::tool {

using View = std::span<const std::uint8_t>;
using Bytes = std::vector<std::uint8_t>;

inline constexpr std::size_t ethernet_header = 14, vlan_tag = 4;  // bytes
namespace ethertype {
inline constexpr std::uint16_t ipv4 = 0x0800, arp = 0x0806, vlan = 0x8100, ipv6 = 0x86dd, qinq = 0x88a8;
}
namespace protocol {
inline constexpr std::uint8_t icmp = 1, tcp = 6, udp = 17, fragment = 44, icmpv6 = 58;
}
namespace icmp {
inline constexpr std::uint8_t echo_reply = 0, echo_request = 8;
inline constexpr std::uint8_t v6_echo_request = 128, v6_echo_reply = 129, solicitation = 135, advertisement = 136;
}  // namespace icmp

std::uint16_t get16(View bytes, std::size_t at) noexcept;  // big-endian; the caller has checked the bounds
std::uint32_t get32(View bytes, std::size_t at) noexcept;
void put16(std::span<std::uint8_t> bytes, std::size_t at, std::uint16_t value) noexcept;

// --- Checksums (RFC 1071, 1624) ---

// One's complement sum of 16-bit words on top of `sum`, not folded.
std::uint32_t sum_words(View bytes, std::uint32_t sum = 0) noexcept;
// Folds and complements: the value that goes into a checksum field, and 0 over bytes that contain a right one.
std::uint16_t checksum(View bytes, std::uint32_t sum = 0) noexcept;
// A checksum after one 16-bit word that it covers has changed.
std::uint16_t adjust_checksum(std::uint16_t checksum, std::uint16_t before, std::uint16_t after) noexcept;
// The pseudo header that the checksums of ICMPv6, UDP and TCP cover.
std::uint32_t sum_pseudo_header(const IpAddress& source, const IpAddress& destination, std::uint8_t next_header,
                                std::size_t length) noexcept;

// --- Parsing ---

struct Ethernet {
  Mac destination, source;
  std::uint16_t type;
  View payload;
};
std::optional<Ethernet> parse_ethernet(View frame) noexcept;

struct Vlan {
  std::uint16_t id;
  std::uint16_t type;
  View payload;
};
std::optional<Vlan> parse_vlan(View bytes) noexcept;

// The frame without its tags, if they are just these, outermost first.
std::optional<Bytes> without_vlans(View frame, std::span<const std::uint16_t> ids);

// ARP for IPv4 over Ethernet.
struct Arp {
  static constexpr std::uint16_t request = 1, reply = 2;
  std::uint16_t operation;
  Mac sender_mac;
  IpAddress sender;
  Mac target_mac;
  IpAddress target;
};
std::optional<Arp> parse_arp(View bytes) noexcept;

struct Ip {
  IpAddress source, destination;
  std::uint8_t protocol;  // of the payload; IPv6 extension headers are not followed
  std::uint8_t hop_limit;
  bool fragment;  // part of a datagram; IPv6: the fragment header comes first
  std::size_t header_size;
  std::size_t payload_size;  // as the header says; not more than there is
  View payload;              // what the view has of it
};
// IPv4 (its header checksum must be right) or IPv6, as the first byte says.
std::optional<Ip> parse_ip(View packet, std::size_t total) noexcept;

inline constexpr std::size_t ipv4_header = 20, ipv6_header = 40;  // without options
inline constexpr std::size_t longest_payload_v4 = 65535 - ipv4_header, longest_payload_v6 = 65535;

// A part of a datagram: with IPv6, the fragment header is the first behind the IP header.
struct Fragment {
  IpAddress source, destination;
  std::uint8_t protocol;  // of the datagram, as this fragment says
  std::uint8_t hop_limit;
  std::uint32_t id;
  std::size_t offset;  // of the payload in that of the datagram
  bool more;           // others follow
  View payload;        // not empty; within what a datagram can have, and whole
};
std::optional<Fragment> parse_fragment(View packet) noexcept;

// ICMP or ICMPv6: at least the eight bytes that all messages here have.
struct Icmp {
  std::uint8_t type, code;
  std::uint16_t checksum;      // as it is in the packet
  std::uint16_t id, sequence;  // of echoes
  View body;                   // after the first eight bytes
};
std::optional<Icmp> parse_icmp(const Ip& ip) noexcept;

// Whether the checksum of a whole ICMP or ICMPv6 message is right; false unless all of it is in the view.
bool icmp_checksum_right(const Ip& ip) noexcept;

// A neighbour solicitation or advertisement that passes the checks of RFC 4861, 7.1.
struct Neighbor {
  bool solicitation;
  IpAddress target;
  std::optional<Mac> link_address;  // of the source (solicitation) or the target (advertisement)
};
std::optional<Neighbor> parse_neighbor(const Ip& ip) noexcept;

struct Ports {
  std::uint16_t source, destination;
};
std::optional<Ports> parse_ports(const Ip& ip) noexcept;  // UDP and TCP, first fragments only

// --- Building: each appends to `out` ---

void append_ethernet(Bytes& out, const Mac& destination, const Mac& source, std::uint16_t type);
// Into a frame that has no tags yet: a tag each, outermost first; of several all but the last are service tags
// (802.1ad).
void insert_vlans(Bytes& frame, std::span<const std::uint16_t> ids);
void append_arp(Bytes& out, const Arp& arp);
void append_ip(Bytes& out, const IpAddress& source, const IpAddress& destination, std::uint8_t upper,
               std::uint8_t hop_limit, std::size_t payload_size);

struct Echo {
  bool request;
  std::uint16_t id, sequence;
};
// IP header, ICMP or ICMPv6 header, and the data.
void append_echo(Bytes& out, const IpAddress& source, const IpAddress& destination, const Echo& echo, View data);

// IPv6 header and the message. Advertisements are marked as solicited unless they go to a multicast address.
void append_neighbor(Bytes& out, const IpAddress& source, const IpAddress& destination, const Neighbor& neighbor);

}  // namespace memif::tool
