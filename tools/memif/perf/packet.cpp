#include "perf/packet.hpp"

#include <algorithm>

#include "common/command.hpp"
#include "common/units.hpp"

namespace memif::tool {
namespace {

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

// Behind the MAC addresses and the tags: where the IP header begins.
std::optional<std::size_t> ip_place(View head) noexcept {
  std::size_t at = ethernet_header - 2;  // of a type
  while (at + 2 <= head.size()) {
    const std::uint16_t type = get16(head, at);
    if (type == ethertype::ipv4 || type == ethertype::ipv6) return at + 2;
    if (type != ethertype::vlan && type != ethertype::qinq) return std::nullopt;
    at += vlan_tag;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::size_t> find_mark(View head, Mode mode) noexcept {
  const auto ip = mode == Mode::ethernet ? ip_place(head) : std::optional<std::size_t>(0);
  if (!ip || *ip + ipv4_header > head.size()) return std::nullopt;
  const bool v6 = head[*ip] >> 4 == 6;
  if (!v6 && (head[*ip] >> 4 != 4 || (head[*ip] & 15u) < ipv4_header / 4)) return std::nullopt;
  if (head[*ip + (v6 ? 6 : 9)] != protocol::udp) return std::nullopt;
  return *ip + (v6 ? ipv6_header : std::size_t{4} * (head[*ip] & 15u)) + 8;
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
