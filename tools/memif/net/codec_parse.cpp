// Reading packet headers.
#include <algorithm>

#include "net/codec.hpp"

namespace memif::tool {
namespace {

Mac mac_at(View bytes, std::size_t at) noexcept {
  Mac mac;
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), mac.size(), mac.begin());
  return mac;
}

IpAddress ipv4_at(View bytes, std::size_t at) noexcept { return IpAddress(bytes.subspan(at).first<4>()); }
IpAddress ipv6_at(View bytes, std::size_t at) noexcept { return IpAddress(bytes.subspan(at).first<16>()); }

std::optional<Ip> parse_ipv4(View packet, std::size_t total) noexcept {
  if (packet.size() < 20) return std::nullopt;
  const std::size_t header_size = (packet[0] & std::size_t{0x0f}) * 4;
  const std::size_t length = get16(packet, 2);
  if (header_size < 20 || header_size > packet.size() || length < header_size || length > total) return std::nullopt;
  if (checksum(packet.first(header_size)) != 0) return std::nullopt;
  Ip ip{};
  ip.source = ipv4_at(packet, 12);
  ip.destination = ipv4_at(packet, 16);
  ip.protocol = packet[9];
  ip.hop_limit = packet[8];
  ip.fragment = (get16(packet, 6) & 0x3fffu) != 0;  // more fragments, or an offset
  ip.header_size = header_size;
  ip.payload_size = length - header_size;
  ip.payload = packet.subspan(header_size, std::min(ip.payload_size, packet.size() - header_size));
  return ip;
}

std::optional<Ip> parse_ipv6(View packet, std::size_t total) noexcept {
  constexpr std::size_t header_size = ipv6_header;
  if (packet.size() < header_size) return std::nullopt;
  const std::size_t length = get16(packet, 4);
  if (length > total - header_size) return std::nullopt;
  Ip ip{};
  ip.source = ipv6_at(packet, 8);
  ip.destination = ipv6_at(packet, 24);
  ip.protocol = packet[6];
  ip.fragment = ip.protocol == protocol::fragment;
  ip.hop_limit = packet[7];
  ip.header_size = header_size;
  ip.payload_size = length;
  ip.payload = packet.subspan(header_size, std::min(length, packet.size() - header_size));
  return ip;
}

// The options of a neighbour message: the link-layer address of type `wanted`; false if one is malformed.
bool read_neighbor_options(View options, std::uint8_t wanted, std::optional<Mac>& link_address) noexcept {
  while (!options.empty()) {
    if (options.size() < 2) return false;
    const std::size_t length = options[1] * std::size_t{8};
    if (length == 0 || length > options.size()) return false;
    if (options[0] == wanted && length == 8) link_address = mac_at(options, 2);
    options = options.subspan(length);
  }
  return true;
}

}  // namespace

std::uint16_t get16(View bytes, std::size_t at) noexcept {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

std::uint32_t get32(View bytes, std::size_t at) noexcept {
  return static_cast<std::uint32_t>(get16(bytes, at)) << 16 | get16(bytes, at + 2);
}

std::optional<Ethernet> parse_ethernet(View frame) noexcept {
  if (frame.size() < 14) return std::nullopt;
  return Ethernet{mac_at(frame, 0), mac_at(frame, 6), get16(frame, 12), frame.subspan(14)};
}

std::optional<Vlan> parse_vlan(View bytes) noexcept {
  if (bytes.size() < 4) return std::nullopt;
  return Vlan{static_cast<std::uint16_t>(get16(bytes, 0) & 0x0fffu), get16(bytes, 2), bytes.subspan(4)};
}

std::optional<Bytes> without_vlans(View frame, std::span<const std::uint16_t> ids) {
  constexpr std::size_t macs = 12;
  const auto ethernet = parse_ethernet(frame);
  if (!ethernet) return std::nullopt;
  View rest = frame.subspan(macs);  // from a type on
  for (const std::uint16_t id : ids) {
    const std::uint16_t type = get16(rest, 0);
    const auto tag = type == ethertype::vlan || type == ethertype::qinq ? parse_vlan(rest.subspan(2)) : std::nullopt;
    if (!tag || tag->id != id) return std::nullopt;
    rest = rest.subspan(vlan_tag);
  }
  Bytes bare(frame.begin(), frame.begin() + macs);
  bare.insert(bare.end(), rest.begin(), rest.end());
  return bare;
}

std::optional<Arp> parse_arp(View bytes) noexcept {
  constexpr std::uint32_t ethernet_ipv4 = 0x0001'0800, lengths = 0x0604;
  if (bytes.size() < 28 || get32(bytes, 0) != ethernet_ipv4 || get16(bytes, 4) != lengths) return std::nullopt;
  return Arp{get16(bytes, 6), mac_at(bytes, 8), ipv4_at(bytes, 14), mac_at(bytes, 18), ipv4_at(bytes, 24)};
}

std::optional<Ip> parse_ip(View packet, std::size_t total) noexcept {
  if (packet.empty() || total < packet.size()) return std::nullopt;
  switch (packet[0] >> 4) {
    case 4:
      return parse_ipv4(packet, total);
    case 6:
      return parse_ipv6(packet, total);
    default:
      return std::nullopt;
  }
}

std::optional<Fragment> parse_fragment(View packet) noexcept {
  const auto ip = parse_ip(packet, packet.size());
  if (!ip || !ip->fragment) return std::nullopt;
  const bool v6 = ip->source.v6();
  Fragment fragment{ip->source, ip->destination, ip->protocol, ip->hop_limit, 0, 0, false, ip->payload};
  if (v6) {
    if (ip->payload.size() < 8) return std::nullopt;
    fragment.protocol = ip->payload[0];
    fragment.id = get32(ip->payload, 4);
    fragment.offset = get16(ip->payload, 2) & 0xfff8u;
    fragment.more = (get16(ip->payload, 2) & 1u) != 0;
    fragment.payload = ip->payload.subspan(8);
  } else {
    fragment.id = get16(packet, 4);
    fragment.offset = (get16(packet, 6) & std::size_t{0x1fff}) * 8;
    fragment.more = (get16(packet, 6) & 0x2000u) != 0;
  }
  const std::size_t size = fragment.payload.size();
  if (size == 0 || (fragment.more && size % 8 != 0)) return std::nullopt;
  if (fragment.offset + size > (v6 ? longest_payload_v6 : longest_payload_v4)) return std::nullopt;
  return fragment;
}

std::optional<Icmp> parse_icmp(const Ip& ip) noexcept {
  const View bytes = ip.payload;
  const std::uint8_t expected = ip.source.v6() ? protocol::icmpv6 : protocol::icmp;
  if (ip.protocol != expected || ip.fragment || bytes.size() < 8) return std::nullopt;
  return Icmp{bytes[0], bytes[1], get16(bytes, 2), get16(bytes, 4), get16(bytes, 6), bytes.subspan(8)};
}

bool icmp_checksum_right(const Ip& ip) noexcept {
  if (ip.payload.size() != ip.payload_size) return false;
  const std::uint32_t sum =
      ip.source.v6() ? sum_pseudo_header(ip.source, ip.destination, ip.protocol, ip.payload_size) : 0;
  return checksum(ip.payload, sum) == 0;
}

std::optional<Neighbor> parse_neighbor(const Ip& ip) noexcept {
  const auto message = parse_icmp(ip);
  if (!message || !ip.source.v6() || message->code != 0 || ip.hop_limit != 255 || ip.payload.size() < 24)
    return std::nullopt;
  if (message->type != icmp::solicitation && message->type != icmp::advertisement) return std::nullopt;
  if (!icmp_checksum_right(ip)) return std::nullopt;
  Neighbor neighbor{message->type == icmp::solicitation, ipv6_at(ip.payload, 8), std::nullopt};
  const std::uint8_t wanted = neighbor.solicitation ? 1 : 2;
  if (neighbor.target.multicast() || !read_neighbor_options(ip.payload.subspan(24), wanted, neighbor.link_address))
    return std::nullopt;
  return neighbor;
}

std::optional<Ports> parse_ports(const Ip& ip) noexcept {
  if (ip.protocol != protocol::udp && ip.protocol != protocol::tcp) return std::nullopt;
  if (ip.fragment || ip.payload.size() < 4) return std::nullopt;
  return Ports{get16(ip.payload, 0), get16(ip.payload, 2)};
}

}  // namespace memif::tool
