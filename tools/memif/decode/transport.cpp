// TCP, UDP and SCTP.
#include "decode/decoders.hpp"

namespace memif::tool::decoding {
namespace {

namespace flag {
constexpr unsigned fin = 1, syn = 2, rst = 4, ack = 16, urg = 32;
}

std::string tcp_flags(unsigned flags) {
  constexpr std::string_view names = "FSRP.UEW";
  std::string text;
  for (std::size_t bit = 0; bit < names.size(); ++bit)
    if ((flags >> bit & 1) != 0) text += names[bit];
  return text.empty() ? "none" : text;
}

std::string sack_blocks(const Part& option) {
  std::string text = fmt::format("sack {} ", (option.size() - 2) / 8);
  for (std::size_t at = 2; at + 8 <= option.size(); at += 8)
    text += fmt::format("{{{}:{}}}", option.u32(at), option.u32(at + 4));
  return text;
}

std::string tcp_option(std::uint8_t kind, const Part& option) {
  const std::size_t size = option.size();
  if (kind == 2 && size == 4) return fmt::format("mss {}", option.u16(2));
  if (kind == 3 && size == 3) return fmt::format("wscale {}", option.u8(2));
  if (kind == 4 && size == 2) return "sackOK";
  if (kind == 5 && size % 8 == 2) return sack_blocks(option);
  if (kind == 8 && size == 10) return fmt::format("TS val {} ecr {}", option.u32(2), option.u32(6));
  if (kind == 19 && size == 18) return "md5";
  if (kind == 30) return "mptcp";
  if (kind == 34) return "tfo";
  return fmt::format("unknown-{}", kind);
}

// "mss 1460,sackOK"; what is no option any more ends it.
std::string tcp_options(const Part& options) {
  std::string text;
  for (std::size_t at = 0; at < options.size();) {
    const std::uint8_t kind = options.u8(at);
    if (!text.empty()) text += ',';
    if (kind < 2) {
      text += kind == 0 ? "eol" : "nop";
      if (kind == 0) break;
      ++at;
      continue;
    }
    const std::size_t size = options.u8(at + 1);
    if (size < 2 || size > options.size() - at) return text + "bad length";
    text += tcp_option(kind, options.from(at).first(size));
    at += size;
  }
  return text;
}

}  // namespace

void tcp(Line& line, const Ends& ends, const Part& part) {
  if (!part.has(4)) addresses(line, ends);
  addresses(line, ends, part.u16(0), part.u16(2));
  const std::size_t header = std::size_t{4} * (part.u8(12) >> 4);
  const unsigned flags = part.u8(13);
  const std::uint32_t sequence = part.u32(4);
  line.add("Flags [{}]", tcp_flags(flags));
  if (header < 20 || header > part.size()) return line.add(", bad header length {}", header);
  const std::size_t length = part.size() - header;
  if (length > 0)
    line.add(", seq {}:{}", sequence, sequence + static_cast<std::uint32_t>(length));
  else if ((flags & (flag::syn | flag::fin | flag::rst)) != 0)
    line.add(", seq {}", sequence);
  if ((flags & flag::ack) != 0) line.add(", ack {}", part.u32(8));
  line.add(", win {}", part.u16(14));
  if ((flags & flag::urg) != 0) line.add(", urg {}", part.u16(18));
  if (header > 20) line.add(", options [{}]", tcp_options(part.first(header).from(20)));
  line.add(", length {}", length);
  check_sum(line, "tcp", ends, part, part.u16(16));
}

// A length of 0 stands for one that its field does not hold.
void udp(Line& line, const Ends& ends, const Part& part) {
  if (!part.has(4)) addresses(line, ends);
  const std::uint16_t source = part.u16(0), destination = part.u16(2);
  addresses(line, ends, source, destination);
  const std::size_t said = part.u16(4), size = said == 0 ? part.size() : said;
  if (size < 8) return line.add("UDP, bad length {}", size);
  const Part datagram = part.first(std::min(size, part.size()));
  if (!ends.fragment && part.u16(6) != 0) check_sum(line, "udp", ends, datagram, part.u16(6));
  if (size > part.size() && !ends.fragment) return line.add("UDP, bad length {} > {}", size - 8, part.size() - 8);
  if (ends.fragment || !udp_payload(line, source, destination, datagram.from(8))) line.add("UDP, length {}", size - 8);
}

void sctp(Line& line, const Ends& ends, const Part& part) {
  static constexpr const char* names[] = {"DATA",        "INIT",       "INIT ACK", "SACK",         "HB REQ",
                                          "HB ACK",      "ABORT",      "SHUTDOWN", "SHUTDOWN ACK", "OP ERR",
                                          "COOKIE ECHO", "COOKIE ACK", "ECN ECHO", "CWR",          "SHUTDOWN COMPLETE"};
  if (!part.has(4)) addresses(line, ends);
  addresses(line, ends, part.u16(0), part.u16(2));
  line.add("sctp");
  unsigned number = 0;
  for (std::size_t at = 12; at < part.size() && number < 16;) {
    const std::uint8_t kind = part.u8(at);
    const std::size_t size = part.u16(at + 2);
    line.add(" ({}) [{}]", ++number, kind < std::size(names) ? names[kind] : "unknown");
    if (kind == 1 || kind == 2)
      line.add(" [init tag: {}] [rwnd: {}] [OS: {}] [MIS: {}] [init TSN: {}]", part.u32(at + 4), part.u32(at + 8),
               part.u16(at + 12), part.u16(at + 14), part.u32(at + 16));
    if (kind == 0) line.add(" [TSN: {}] [SID: {}] [SSEQ {}]", part.u32(at + 4), part.u16(at + 8), part.u16(at + 10));
    if (size < 4) return line.add(", bad chunk length {}", size);
    at += (size + 3) / 4 * 4;
  }
}

}  // namespace memif::tool::decoding
