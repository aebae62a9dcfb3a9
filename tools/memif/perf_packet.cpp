#include "perf_packet.hpp"

#include <fmt/format.h>
#include <string>

#include "command.hpp"
#include "units.hpp"

namespace memif::tool {

Bytes perf_packet(Mode mode, std::size_t size) {
  const std::size_t link = mode == Mode::ethernet ? 14 : 0;
  const std::size_t least = perf_mark_at(mode) + PerfMark::size;
  if (size < least || size - link > 65535)
    throw UsageError(fmt::format("packet size {} is not within {} and {}", size, least, link + 65535));
  Bytes packet;
  if (mode == Mode::ethernet)
    append_ethernet(packet, parse_mac("02:00:00:00:00:02"), parse_mac("02:00:00:00:00:01"), ethertype::ipv4);
  // 198.18.0.0/15 is set aside for benchmarks (RFC 2544); a UDP checksum of 0 means none.
  append_ip(packet, parse_prefix("198.18.0.1/32").address, parse_prefix("198.19.0.1/32").address, protocol::udp, 64,
            size - link - 20);
  packet.resize(size);
  const std::size_t udp = link + 20;
  put16(packet, udp, 9);
  put16(packet, udp + 2, 9);
  put16(packet, udp + 4, static_cast<std::uint16_t>(size - udp));
  return packet;
}

std::vector<std::size_t> parse_size_mix(std::string_view text) {
  if (text == "imix") text = "64:7,576:4,1500:1";
  struct Part {
    std::size_t size;
    std::int64_t weight, credit;
  };
  std::vector<Part> parts;
  std::int64_t total = 0;
  for (bool more = true; more;) {
    const std::size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    more = comma != text.npos;
    if (more) text.remove_prefix(comma + 1);
    const std::size_t colon = word.find(':');
    const auto weight =
        colon == word.npos ? 1 : static_cast<std::int64_t>(parse_number(word.substr(colon + 1), 1, 1000));
    parts.push_back({static_cast<std::size_t>(parse_size(word.substr(0, colon))), weight, 0});
    total += weight;
  }
  std::vector<std::size_t> sizes;
  for (std::int64_t i = 0; i < total; ++i) {  // each time the part that is furthest behind
    for (Part& part : parts) part.credit += part.weight;
    Part& next =
        *std::max_element(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.credit < b.credit; });
    next.credit -= total;
    sizes.push_back(next.size);
  }
  return sizes;
}

}  // namespace memif::tool
