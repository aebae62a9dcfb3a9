// Ethernet and what runs on it beside IP.
#include <utility>

#include "decode/decoders.hpp"

namespace memif::tool::decoding {
namespace {

namespace type {
constexpr std::uint16_t mpls = 0x8847, mpls_multicast = 0x8848, lldp = 0x88cc, slow = 0x8809, longest_length = 1500;
}

// A list of type, length and value. Calls `each` with type and value until it is done or the list ends.
template <class Each>
void for_each_tlv(const Part& part, Each each) {
  for (std::size_t at = 0; at + 2 <= part.size();) {
    const std::uint16_t head = part.u16(at);
    const std::size_t size = head & 0x1ffu;
    if (head >> 9 == 0) return;
    if (each(static_cast<unsigned>(head >> 9), part.from(at + 2).first(size))) return;
    at += 2 + size;
  }
}

std::string bridge_id(const Part& part, std::size_t at) {
  return fmt::format("{:04x}.{}", part.u16(at), to_string(mac(part.bytes(at + 2, 6))));
}

std::string stp_flags(std::uint8_t flags) {
  std::string names;
  const auto add = [&names](const char* name) { names += (names.empty() ? "" : ", ") + std::string(name); };
  if ((flags & 0x01) != 0) add("Topology change");
  if ((flags & 0x02) != 0) add("Proposal");
  if ((flags & 0x10) != 0) add("Learn");
  if ((flags & 0x20) != 0) add("Forward");
  if ((flags & 0x40) != 0) add("Agreement");
  if ((flags & 0x80) != 0) add("Topology change ACK");
  return names.empty() ? "none" : names;
}

void stp(Line& line, const Part& part) {
  static constexpr const char* versions[] = {"802.1d", "", "Rapid STP", "Multiple STP"};
  const std::uint8_t version = part.u8(2), kind = part.u8(3);
  line.add("STP {}", version < 4 ? versions[version] : "of an unknown version");
  if (kind == 0x80) {
    line.add(", Topology Change, length {}", part.size());
    return;
  }
  line.add(", Config, Flags [{}], bridge-id {}.{:04x}, length {}", stp_flags(part.u8(4)), bridge_id(part, 17),
           part.u16(25), part.size());
}

}  // namespace

std::string type_name(std::uint16_t type) {
  static constexpr std::pair<std::uint16_t, const char*> names[] = {
      {ethertype::ipv4, "IPv4"},   {ethertype::ipv6, "IPv6"},        {ethertype::arp, "ARP"},
      {ethertype::vlan, "802.1Q"}, {ethertype::qinq, "802.1Q-QinQ"}, {type::mpls, "MPLS unicast"},
      {type::lldp, "LLDP"},        {type::slow, "Slow Protocols"},   {type::mpls_multicast, "MPLS multicast"}};
  if (type <= type::longest_length) return "802.3";
  for (const auto& [number, name] : names)
    if (number == type) return fmt::format("ethertype {} (0x{:04x})", name, type);
  return fmt::format("ethertype Unknown (0x{:04x})", type);
}

void ethernet(Line& line, const Part& frame) {
  const std::uint16_t type = frame.u16(12);
  by_ethertype(line, type, frame.from(ethernet_header));
}

void by_ethertype(Line& line, std::uint16_t type, const Part& payload) {
  switch (type) {
    case ethertype::ipv4:
    case ethertype::ipv6:
      ip(line, payload);
      return;
    case ethertype::arp:
      arp(line, payload);
      return;
    case ethertype::vlan:
    case ethertype::qinq:
      line.add("vlan {}, ", payload.u16(0) & 0xfffu);
      if (++line.depth > 8) throw PartEnded{false};
      by_ethertype(line, payload.u16(2), payload.from(4));
      return;
    case type::mpls:
    case type::mpls_multicast:
      mpls(line, payload);
      return;
    case type::lldp:
      lldp(line, payload);
      return;
    case type::slow:
      slow_protocols(line, payload);
      return;
    default:
      break;
  }
  if (type <= type::longest_length && type <= payload.size())
    llc(line, payload.first(type));
  else
    line.add("ethertype 0x{:04x}, length {}", type, payload.size());
}

void arp(Line& line, const Part& part) {
  line.add("ARP, ");
  const std::uint16_t operation = part.u16(6);
  if (part.u16(0) != 1 || part.u16(2) != ethertype::ipv4 || part.u16(4) != 0x0604) {
    line.add("not for IPv4 over Ethernet, operation {}, length {}", operation, part.size());
    return;
  }
  const Mac sender_mac = mac(part.bytes(8, 6)), target_mac = mac(part.bytes(18, 6));
  const std::string sender = to_string(address4(part.bytes(14, 4))), target = to_string(address4(part.bytes(24, 4)));
  if (operation == Arp::request)
    line.add("Request who-has {}{} tell {}", target, target_mac == Mac{} ? "" : " (" + to_string(target_mac) + ")",
             sender);
  else if (operation == Arp::reply)
    line.add("Reply {} is-at {}", sender, to_string(sender_mac));
  else
    line.add("operation {}", operation);
  line.add(", length {}", part.size());
}

// Of what is below the last label, its first bits tell only IP.
void mpls(Line& line, const Part& part) {
  line.add("MPLS ");
  for (std::size_t at = 0;; at += 4) {
    const std::uint32_t entry = part.u32(at);
    const bool last = (entry & 0x100) != 0;
    line.add("(label {}, tc {}, {}ttl {}) ", entry >> 12, entry >> 9 & 7, last ? "[S], " : "", entry & 0xff);
    if (!last) continue;
    const Part inner = part.from(at + 4);
    const unsigned version = inner.u8(0) >> 4;
    if (version == 4 || version == 6)
      ip(line, inner);
    else
      line.add("length {}", inner.size());
    return;
  }
}

void llc(Line& line, const Part& part) {
  if (part.u16(0) == 0x4242 && part.u8(2) == 3) return stp(line, part.from(3));
  line.add("LLC, dsap 0x{:02x}, ssap 0x{:02x}, length {}", part.u8(0), part.u8(1), part.size());
}

void lldp(Line& line, const Part& part) {
  constexpr unsigned system_name = 5;
  line.add("LLDP, length {}", part.size());
  for_each_tlv(part, [&line](unsigned type, const Part& value) {
    if (type == system_name) line.add(": {}", text_of(value.bytes(0, value.size())));
    return type == system_name;
  });
}

void slow_protocols(Line& line, const Part& part) {
  const std::uint8_t kind = part.u8(0), version = part.u8(1);
  if (kind == 1)
    line.add("LACPv{}, length {}", version, part.size());
  else if (kind == 2)
    line.add("MARKERv{}, length {}", version, part.size());
  else
    line.add("Slow protocol {}, length {}", kind, part.size());
}

}  // namespace memif::tool::decoding
