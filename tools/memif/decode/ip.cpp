// IPv4 and IPv6 with its extension headers.
#include <string_view>
#include <utility>

#include "decode/decoders.hpp"

namespace memif::tool::decoding {
namespace {

constexpr unsigned deepest = 8;  // of tunnels and of extension headers

namespace next {
constexpr std::uint8_t hop_by_hop = 0, igmp = 2, ipip = 4, tcp = 6, udp = 17, ipv6 = 41, routing = 43, fragment = 44,
                       gre = 47, esp = 50, ah = 51, icmpv6 = 58, none = 59, options = 60, sctp = 132;
}

// What an extension header says, and where the next one begins. 0: it is none.
std::size_t extension(Ends& ends, const Part& part) {
  switch (ends.protocol) {
    case next::hop_by_hop:
      ends.prefix += "HBH ";
      break;
    case next::options:
      ends.prefix += "DSTOPT ";
      break;
    case next::routing:
      ends.prefix += fmt::format("RT6 (len={}, type={}, segleft={}) ", part.u8(1), part.u8(2), part.u8(3));
      if (part.u8(2) == 0 && part.u8(3) != 0 && part.u8(1) >= 2)
        ends.last = address6(part.bytes(std::size_t{8} * part.u8(1) - 8, 16));
      break;
    case next::fragment: {
      const std::uint16_t word = part.u16(2);
      const bool more = (word & 1) != 0;
      ends.prefix += fmt::format("frag ({}|{}{}) ", word & 0xfff8, part.size() - 8, more ? ", more" : "");
      ends.fragment = ends.fragment || more || (word & 0xfff8) != 0;
      ends.protocol = (word & 0xfff8) != 0 ? next::none : part.u8(0);
      return 8;
    }
    default:
      return 0;
  }
  ends.protocol = part.u8(0);
  return std::size_t{8} * (1 + part.u8(1));
}

std::string_view protocol_name(std::uint8_t protocol) {
  constexpr std::pair<std::uint8_t, std::string_view> names[] = {{next::hop_by_hop, "Options"},
                                                                 {protocol::icmp, "ICMP"},
                                                                 {next::igmp, "IGMP"},
                                                                 {next::ipip, "IPIP"},
                                                                 {next::tcp, "TCP"},
                                                                 {next::udp, "UDP"},
                                                                 {next::ipv6, "IPv6"},
                                                                 {next::routing, "Routing"},
                                                                 {next::fragment, "Fragment"},
                                                                 {next::gre, "GRE"},
                                                                 {next::esp, "ESP"},
                                                                 {next::ah, "AH"},
                                                                 {next::icmpv6, "ICMPv6"},
                                                                 {next::none, "no next"},
                                                                 {next::sctp, "SCTP"}};
  for (const auto& [number, name] : names)
    if (number == protocol) return name;
  return "unknown";
}

// What -v shows of the headers.
void header4(Line& line, const Part& part) {
  const std::uint16_t word = part.u16(6);
  std::string flags;
  for (const auto& [bit, name] : {std::pair(0x2000, "+"), std::pair(0x4000, "DF"), std::pair(0x8000, "rsvd")})
    if ((word & bit) != 0) flags += (flags.empty() ? "" : ", ") + std::string(name);
  line.add("(tos 0x{:x}, ttl {}, id {}, offset {}, flags [{}], proto {} ({}), length {})\n    ", part.u8(1), part.u8(8),
           part.u16(4), 8 * (word & 0x1fff), flags.empty() ? "none" : flags, protocol_name(part.u8(9)), part.u8(9),
           part.u16(2));
}

void header6(Line& line, const Part& part) {
  const std::uint32_t word = part.u32(0), traffic_class = word >> 20 & 0xff, flow = word & 0xfffff;
  line.add("(");
  if (traffic_class != 0) line.add("class 0x{:02x}, ", traffic_class);
  if (flow != 0) line.add("flowlabel 0x{:05x}, ", flow);
  line.add("hlim {}, next-header {} ({}) payload length: {}) ", part.u8(7), protocol_name(part.u8(6)), part.u8(6),
           part.u16(4));
}

void ipv4(Line& line, const Part& part) {
  line.add("IP ");
  if (line.verbose) header4(line, part);
  const std::size_t header = std::size_t{4} * (part.u8(0) & 15u), size = part.u16(2);
  const std::uint16_t word = part.u16(6);
  const std::size_t offset = std::size_t{8} * (word & 0x1fffu);
  const bool more = (word & 0x2000) != 0;
  Ends ends{address4(part.bytes(12, 4)), address4(part.bytes(16, 4)), part.u8(9), more || offset != 0};
  if (header < 20 || size < header) {
    addresses(line, ends);
    line.add("bad header length {} or total length {}", header, size);
    return;
  }
  if (part.has(header) && checksum(part.kept().first(header)) != 0) line.notes += " [ip checksum wrong]";
  // A sender that lets a network card cut its packets says 0; longer ones were cut on their way.
  const Part payload = part.first(std::min(size, part.size())).from(header);
  if (offset != 0) {
    addresses(line, ends);
    line.add("ip-proto-{}", ends.protocol);
  } else {
    ip_protocol(line, ends, payload);
  }
  if (ends.fragment) line.add(", frag (id {}, {}|{}{})", part.u16(4), offset, payload.size(), more ? ", more" : "");
  if (size > part.size()) line.add(", {} bytes missing", size - part.size());
}

void ipv6(Line& line, const Part& part) {
  line.add("IP6 ");
  if (line.verbose) header6(line, part);
  Ends ends{address6(part.bytes(8, 16)), address6(part.bytes(24, 16)), part.u8(6)};
  const std::size_t size = part.u16(4), there = part.from(ipv6_header).size();
  Part payload = part.from(ipv6_header).first(size != 0 ? std::min(size, there) : there);
  for (unsigned i = 0; i < deepest; ++i) {
    std::size_t length = 0;
    try {
      length = extension(ends, payload);
    } catch (const PartEnded&) {
      addresses(line, ends);
      throw;
    }
    if (length == 0) break;
    payload = payload.from(length);
  }
  ip_protocol(line, ends, payload);
  if (size > there) line.add(", {} bytes missing", size - there);
}

}  // namespace

void addresses(Line& line, const Ends& ends) {
  line.add("{} > {}: {}", to_string(ends.source), to_string(ends.destination), ends.prefix);
}

// With fragments and the like, tcpdump has the ports behind what it says of them.
void addresses(Line& line, const Ends& ends, std::uint16_t source, std::uint16_t destination) {
  if (!ends.prefix.empty()) {
    addresses(line, ends);
    line.add("{} > {}: ", source, destination);
  } else {
    line.add("{}.{} > {}.{}: ", to_string(ends.source), source, to_string(ends.destination), destination);
  }
}

void ip(Line& line, const Part& part) {
  if (++line.depth > deepest) {
    line.add("more tunnels");
    return;
  }
  const unsigned version = part.u8(0) >> 4;
  if (version == 4)
    ipv4(line, part);
  else if (version == 6)
    ipv6(line, part);
  else
    line.add("IP of version {}, length {}", version, part.size());
}

void ip_protocol(Line& line, const Ends& ends, const Part& payload) {
  switch (ends.protocol) {
    case next::tcp:
      return tcp(line, ends, payload);
    case next::udp:
      return udp(line, ends, payload);
    case next::sctp:
      return sctp(line, ends, payload);
    default:
      addresses(line, ends);
  }
  switch (ends.protocol) {
    case protocol::icmp:
      return icmp(line, ends, payload);
    case next::icmpv6:
      return icmp6(line, ends, payload);
    case next::igmp:
      return igmp(line, ends, payload);
    case next::gre:
      return gre(line, payload);
    case next::ipip:
    case next::ipv6:
      return ip(line, payload);
    case next::ah:
      return line.add("AH(spi=0x{:08x},seq=0x{:x}), length {}", payload.u32(4), payload.u32(8), payload.size());
    case next::esp:
      return line.add("ESP(spi=0x{:08x},seq=0x{:x}), length {}", payload.u32(0), payload.u32(4), payload.size());
    case next::none:
      return ends.fragment ? void() : line.add("no next header");
    default:
      line.add("ip-proto-{} {}", ends.protocol, payload.size());
  }
}

}  // namespace memif::tool::decoding
