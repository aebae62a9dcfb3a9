// ICMP, ICMPv6 and IGMP.
#include "decode/decoders.hpp"

namespace memif::tool::decoding {
namespace {

// The packet that an error is about, as far as it is quoted: its checksums may cover what is not.
void quoted(Line& line, const Part& part) {
  line.add(", of ");
  const std::string notes = line.notes;
  try {
    ip(line, Part(part.kept(), std::max(part.size(), std::size_t{65536})));
  } catch (const PartEnded&) {
    line.add("what is quoted no further");
  }
  line.notes = notes;
}

struct Quoted {
  std::string destination = "?";
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
};

Quoted look_into(const Part& part) {
  Quoted about;
  if ((part.u8(0) >> 4) == 4) {
    const std::size_t header = std::size_t{4} * (part.u8(0) & 15u);
    about = {to_string(address4(part.bytes(16, 4))), part.u8(9), 0};
    if (part.has(header + 4)) about.port = part.u16(header + 2);
  } else {
    about = {to_string(address6(part.bytes(24, 16))), part.u8(6), 0};
    if (part.has(ipv6_header + 4)) about.port = part.u16(ipv6_header + 2);
  }
  return about;
}

std::string transport(std::uint8_t number) {
  return number == protocol::tcp ? "tcp" : number == protocol::udp ? "udp" : fmt::format("protocol {}", number);
}

void unreachable(Line& line, std::uint8_t code, const Part& part) {
  const Quoted about = look_into(part.from(8));
  const std::string& to = about.destination;
  switch (code) {
    case 0:
      return line.add("net {} unreachable", to);
    case 1:
      return line.add("host {} unreachable", to);
    case 2:
      return line.add("{} protocol {} unreachable", to, about.protocol);
    case 3:
      return line.add("{} {} port {} unreachable", to, transport(about.protocol), about.port);
    case 4:
      return line.add("{} unreachable - need to frag{}", to,
                      part.u16(6) != 0 ? fmt::format(" (mtu {})", part.u16(6)) : "");
    case 9:
      return line.add("net {} unreachable - admin prohibited", to);
    case 10:
      return line.add("host {} unreachable - admin prohibited", to);
    case 13:
      return line.add("host {} unreachable - admin prohibited filter", to);
    default:
      return line.add("{} unreachable - #{}", to, code);
  }
}

void redirect(Line& line, std::uint8_t code, const Part& part) {
  static constexpr const char* kinds[] = {"net", "host", "tos-net", "tos-host"};
  line.add("redirect {} to {} {}", look_into(part.from(8)).destination, code < 4 ? kinds[code] : "?",
           to_string(address4(part.bytes(4, 4))));
}

void unreachable6(Line& line, std::uint8_t code, const Part& part) {
  static constexpr const char* reasons[] = {"unreachable route", "unreachable prohibited", "beyond scope",
                                            "unreachable address", "unreachable port"};
  const Quoted about = look_into(part.from(8));
  line.add("destination unreachable, {}, {}", code < 5 ? reasons[code] : "unknown code", about.destination);
  if (code == 4) line.add(" {} port {}", transport(about.protocol), about.port);
}

void error6(Line& line, std::uint8_t type, std::uint8_t code, const Part& part) {
  switch (type) {
    case 1:
      unreachable6(line, code, part);
      break;
    case 2:
      line.add("packet too big, mtu {}", part.u32(4));
      break;
    case 3:
      line.add("{} for {}", code == 0 ? "time exceeded in-transit" : "ip reassembly time exceeded",
               look_into(part.from(8)).destination);
      break;
    case 4:
      line.add("parameter problem, octet {}", part.u32(4));
      break;
  }
}

// Of multicast listeners, routers and neighbours.
void discovery6(Line& line, std::uint8_t type, const Part& part) {
  switch (type) {
    case 130:
      line.add("multicast listener query");
      break;
    case 131:
      line.add("multicast listener report max resp delay: {} addr: {}", part.u16(4),
               to_string(address6(part.bytes(8, 16))));
      break;
    case 133:
      line.add("router solicitation");
      break;
    case 134:
      line.add("router advertisement");
      break;
    case icmp::solicitation:
      line.add("neighbor solicitation, who has {}", to_string(address6(part.bytes(8, 16))));
      break;
    case icmp::advertisement:
      line.add("neighbor advertisement, tgt is {}", to_string(address6(part.bytes(8, 16))));
      break;
    case 137:
      line.add("redirect, {} to {}", to_string(address6(part.bytes(24, 16))), to_string(address6(part.bytes(8, 16))));
      break;
    case 143:
      line.add("multicast listener report v2, {} group record(s)", part.u16(6));
      break;
    default:
      line.add("type-#{}", type);
  }
}

}  // namespace

void icmp(Line& line, const Ends& ends, const Part& part) {
  line.add("ICMP ");
  const std::uint8_t type = part.u8(0), code = part.u8(1);
  switch (type) {
    case icmp::echo_request:
    case icmp::echo_reply:
      line.add("echo {}, id {}, seq {}", type == icmp::echo_request ? "request" : "reply", part.u16(4), part.u16(6));
      break;
    case 3:
      unreachable(line, code, part);
      break;
    case 5:
      redirect(line, code, part);
      break;
    case 11:
      line.add("{}", code == 0 ? "time exceeded in-transit" : "ip reassembly time exceeded");
      break;
    case 12:
      line.add("parameter problem - octet {}", part.u8(4));
      break;
    default:
      line.add("type-#{}", type);
  }
  line.add(", length {}", part.size());
  if (!ends.fragment && part.whole() && checksum(part.kept()) != 0) line.notes += " [icmp checksum wrong]";
  if (type == 3 || type == 5 || type == 11 || type == 12) quoted(line, part.from(8));
}

void icmp6(Line& line, const Ends& ends, const Part& part) {
  line.add("ICMP6, ");
  const std::uint8_t type = part.u8(0);
  const bool is_error = type >= 1 && type <= 4;
  if (is_error)
    error6(line, type, part.u8(1), part);
  else if (type == icmp::v6_echo_request || type == icmp::v6_echo_reply)
    line.add("echo {}, id {}, seq {}", type == icmp::v6_echo_request ? "request" : "reply", part.u16(4), part.u16(6));
  else
    discovery6(line, type, part);
  line.add(", length {}", part.size());
  check_sum(line, "icmp6", ends, part, part.u16(2));
  if (is_error) quoted(line, part.from(8));
}

void igmp(Line& line, const Ends& ends, const Part& part) {
  const std::uint8_t type = part.u8(0);
  const auto group = [&part] { return to_string(address4(part.bytes(4, 4))); };
  switch (type) {
    case 0x11:
      line.add("igmp query {}", part.size() >= 12 ? "v3" : part.u8(1) != 0 ? "v2" : "v1");
      if (part.u32(4) != 0) line.add(" [gaddr {}]", group());
      break;
    case 0x12:
      line.add("igmp v1 report {}", group());
      break;
    case 0x16:
      line.add("igmp v2 report {}", group());
      break;
    case 0x17:
      line.add("igmp leave {}", group());
      break;
    case 0x22:
      line.add("igmp v3 report, {} group record(s)", part.u16(6));
      break;
    default:
      line.add("igmp-0x{:x}", type);
  }
  if (!ends.fragment && part.whole() && checksum(part.kept()) != 0) line.notes += " [igmp checksum wrong]";
}

}  // namespace memif::tool::decoding
