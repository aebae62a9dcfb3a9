// GRE, and what runs on UDP by its ports.
#include "decode/decoders.hpp"

namespace memif::tool::decoding {
namespace {

namespace port {
constexpr std::uint16_t dns = 53, dhcp_server = 67, dhcp_client = 68, gtp_u = 2152, vxlan = 4789, mdns = 5353,
                        geneve = 6081;
}
constexpr std::uint16_t bridged_ethernet = 0x6558;

// The packet in a tunnel, or what its type is.
void inner(Line& line, std::uint16_t type, const Part& part) {
  if (type == bridged_ethernet)
    ethernet(line, part);
  else
    by_ethertype(line, type, part);
}

void vxlan(Line& line, const Part& part) {
  const std::uint8_t flags = part.u8(0);
  line.add("VXLAN, flags [{}] (0x{:02x}), vni {}: ", (flags & 8) != 0 ? "I" : ".", flags, part.u32(4) >> 8);
  ethernet(line, part.from(8));
}

void geneve(Line& line, const Part& part) {
  const std::size_t options = std::size_t{4} * (part.u8(0) & 0x3fu);
  const std::uint8_t flags = part.u8(1);
  const char* names = flags >> 6 == 0 ? "none" : flags >> 6 == 1 ? "C" : flags >> 6 == 2 ? "O" : "OC";
  line.add("Geneve, Flags [{}], vni 0x{:x}: ", names, part.u32(4) >> 8);
  inner(line, part.u16(2), part.from(8 + options));
}

void gtp_u(Line& line, const Part& part) {
  const std::uint8_t flags = part.u8(0), kind = part.u8(1);
  line.add("GTP-U, ");
  if (kind == 1 || kind == 2) return line.add("echo {}", kind == 1 ? "request" : "response");
  if (kind == 26) return line.add("error indication");
  if (kind == 254) return line.add("end marker, teid 0x{:x}", part.u32(4));
  if (kind != 255) return line.add("type {}, teid 0x{:x}", kind, part.u32(4));
  line.add("teid 0x{:x}: ", part.u32(4));
  std::size_t at = 8;
  if ((flags & 7) != 0) {  // sequence number, N-PDU number and the type of the first extension
    at = 12;
    for (std::uint8_t next = (flags & 4) != 0 ? part.u8(11) : 0; next != 0;) {
      const std::size_t size = std::size_t{4} * part.u8(at);
      if (size == 0) throw PartEnded{false};
      next = part.u8(at + size - 1);
      at += size;
    }
  }
  ip(line, part.from(at));
}

}  // namespace

void gre(Line& line, const Part& part) {
  const std::uint16_t flags = part.u16(0), type = part.u16(2);
  line.add("GREv{}", flags & 7);
  std::size_t at = 4;
  if ((flags & 0x8000) != 0) at += 4;
  if ((flags & 0x2000) != 0) {
    line.add(", key=0x{:x}", part.u32(at));
    at += 4;
  }
  if ((flags & 0x1000) != 0) {
    line.add(", seq {}", part.u32(at));
    at += 4;
  }
  line.add(", length {}: ", part.size());
  inner(line, type, part.from(at));
}

bool udp_payload(Line& line, std::uint16_t source, std::uint16_t destination, const Part& payload) {
  const auto either = [&](std::uint16_t port) { return source == port || destination == port; };
  if (payload.size() == 0) return false;
  if (either(port::dns) || either(port::mdns))
    dns(line, payload);
  else if (either(port::dhcp_server) || either(port::dhcp_client))
    dhcp(line, payload);
  else if (destination == port::vxlan)
    vxlan(line, payload);
  else if (destination == port::geneve)
    geneve(line, payload);
  else if (either(port::gtp_u) && payload.u8(0) >> 5 == 1)
    gtp_u(line, payload);
  else
    return false;
  return true;
}

}  // namespace memif::tool::decoding
