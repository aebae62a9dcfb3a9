// DNS and DHCP.
#include "decode/decoders.hpp"

namespace memif::tool::decoding {
namespace {

constexpr std::size_t longest_name = 255;
constexpr unsigned most_answers = 8;  // that are shown

struct Name {
  std::string text;
  std::size_t end;  // of it in the message
};

// A pointer leads only backwards, so that there is an end.
Name read_name(const Part& message, std::size_t at) {
  Name name{{}, 0};
  std::size_t limit = at + 1;
  for (;;) {
    const std::uint8_t length = message.u8(at);
    if (length >= 0xc0) {
      const std::size_t to = message.u16(at) & 0x3fffu;
      if (name.end == 0) name.end = at + 2;
      if (to >= limit - 1) throw PartEnded{false};
      at = to;
      limit = to + 1;
      continue;
    }
    if (length == 0) break;
    name.text += text_of(message.bytes(at + 1, length)) + ".";
    if (name.text.size() > 4 * longest_name) throw PartEnded{false};
    at += 1 + std::size_t{length};
  }
  if (name.end == 0) name.end = at + 1;
  if (name.text.empty()) name.text = ".";
  return name;
}

std::string record_name(std::uint16_t type) {
  switch (type) {
    case 1:
      return "A";
    case 2:
      return "NS";
    case 5:
      return "CNAME";
    case 6:
      return "SOA";
    case 12:
      return "PTR";
    case 15:
      return "MX";
    case 16:
      return "TXT";
    case 28:
      return "AAAA";
    case 33:
      return "SRV";
    case 41:
      return "OPT";
    case 64:
      return "SVCB";
    case 65:
      return "HTTPS";
    case 255:
      return "ANY";
    default:
      return fmt::format("Type{}", type);
  }
}

std::string code_name(unsigned code) {
  static constexpr const char* names[] = {"", " FormErr", " ServFail", " NXDomain", " NotImp", " Refused"};
  return code < std::size(names) ? names[code] : fmt::format(" Resp{}", code);
}

// One record, and where the next one begins.
std::size_t answer(Line& line, const Part& message, std::size_t at) {
  const std::size_t head = read_name(message, at).end;
  const std::uint16_t type = message.u16(head), size = message.u16(head + 8);
  const std::size_t data = head + 10;
  line.add(" {}", record_name(type));
  if (type == 1 && size == 4) line.add(" {}", to_string(address4(message.bytes(data, 4))));
  if (type == 28 && size == 16) line.add(" {}", to_string(address6(message.bytes(data, 16))));
  if (type == 2 || type == 5 || type == 12) line.add(" {}", read_name(message, data).text);
  if (type == 15) line.add(" {} {}", read_name(message, data + 2).text, message.u16(data));
  return data + size;
}

void query(Line& line, const Part& part) {
  const std::uint16_t flags = part.u16(2);
  line.add("{}{}", part.u16(0), (flags & 0x100) != 0 ? "+" : "");
  if (part.u16(4) == 0) return;
  const Name name = read_name(part, 12);
  line.add(" {}? {}", record_name(part.u16(name.end)), name.text);
}

void response(Line& line, const Part& part) {
  const std::uint16_t flags = part.u16(2), answers = part.u16(6);
  line.add("{}{}{}{} {}/{}/{}", part.u16(0), code_name(flags & 15), (flags & 0x400) != 0 ? "*" : "",
           (flags & 0x80) != 0 ? "" : "-", answers, part.u16(8), part.u16(10));
  std::size_t at = 12;
  for (unsigned i = 0; i < part.u16(4); ++i) at = read_name(part, at).end + 4;
  for (unsigned i = 0; i < std::min<unsigned>(answers, most_answers); ++i) {
    if (i != 0) line.add(",");
    at = answer(line, part, at);
  }
}

}  // namespace

void dns(Line& line, const Part& part) {
  if (part.size() < 12) return line.add("UDP, length {}", part.size());
  if ((part.u16(2) & 0x8000) != 0)
    response(line, part);
  else
    query(line, part);
  line.add(" ({})", part.size());
}

void dhcp(Line& line, const Part& part) {
  static constexpr const char* kinds[] = {"",    "Discover", "Offer",   "Request", "Decline",
                                          "ACK", "NACK",     "Release", "Inform"};
  const std::uint8_t operation = part.u8(0);
  line.add("BOOTP/DHCP, {}", operation == 1 ? "Request" : operation == 2 ? "Reply" : "unknown operation");
  if (operation == 1) line.add(" from {}", to_string(mac(part.bytes(28, 6))));
  line.add(", length {}", part.size());
  if (part.size() < 240 || part.u32(236) != 0x63825363) return;
  for (std::size_t at = 240; at < part.size() && part.u8(at) != 255;) {
    const std::uint8_t option = part.u8(at);
    if (option == 53 && part.u8(at + 2) < std::size(kinds)) return line.add(", DHCP {}", kinds[part.u8(at + 2)]);
    at += option == 0 ? 1 : std::size_t{2} + part.u8(at + 1);
  }
}

}  // namespace memif::tool::decoding
