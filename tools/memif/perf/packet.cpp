#include "perf/packet.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "common/command.hpp"
#include "common/units.hpp"

namespace memif::tool {
namespace {

constexpr std::size_t ip_header = 20;
constexpr std::uint16_t discard_port = 9;  // RFC 863

struct Part {
  std::size_t size;
  std::int64_t weight;
  std::int64_t credit = 0;
};

Part parse_part(std::string_view word) {
  const std::size_t colon = word.find(':');
  const std::uint64_t weight = colon == word.npos ? 1 : parse_number(word.substr(colon + 1), 1, 1000);
  return {static_cast<std::size_t>(parse_size(word.substr(0, colon))), static_cast<std::int64_t>(weight)};
}

}  // namespace

Bytes perf_packet(Mode mode, std::size_t size) {
  const std::size_t link = mode == Mode::ethernet ? 14 : 0;
  const std::size_t least = perf_mark_at(mode) + PerfMark::size;
  const std::size_t most = link + 0xffff;
  if (size < least || size > most)
    throw UsageError(fmt::format("--size: {} is not within {} and {} bytes", size, least, most));
  Bytes packet;
  if (link != 0)
    append_ethernet(packet, parse_mac("02:00:00:00:00:02"), parse_mac("02:00:00:00:00:01"), ethertype::ipv4);
  // 198.18.0.0/15 is set aside for benchmarks (RFC 2544); a UDP checksum of 0 means none.
  append_ip(packet, parse_prefix("198.18.0.1/32").address, parse_prefix("198.19.0.1/32").address, protocol::udp, 64,
            size - link - ip_header);
  packet.resize(size);
  const std::size_t udp = link + ip_header;
  put16(packet, udp, discard_port);
  put16(packet, udp + 2, discard_port);
  put16(packet, udp + 4, static_cast<std::uint16_t>(size - udp));
  return packet;
}

std::vector<std::size_t> parse_size_mix(std::string_view text) {
  if (text == "imix") text = "64:7,570:4,1518:1";
  std::vector<Part> parts;
  std::int64_t total = 0;
  for (bool more = true; more;) {
    const std::size_t comma = text.find(',');
    parts.push_back(parse_part(text.substr(0, comma)));
    total += parts.back().weight;
    more = comma != text.npos;
    if (more) text.remove_prefix(comma + 1);
  }
  std::vector<std::size_t> sizes;
  for (std::int64_t i = 0; i < total; ++i) {  // each time the part that is furthest behind its share
    for (Part& part : parts) part.credit += part.weight;
    const auto behind = [](const Part& a, const Part& b) { return a.credit < b.credit; };
    Part& next = *std::max_element(parts.begin(), parts.end(), behind);
    next.credit -= total;
    sizes.push_back(next.size);
  }
  return sizes;
}

}  // namespace memif::tool
