// The packets of memif perf: valid Ethernet, IPv4 and UDP, then a mark, queue, sequence number and time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include <memif/config.hpp>

#include "codec.hpp"

namespace memif::tool {

// What perf writes after the UDP header, in this machine's byte order: both ends share its memory.
struct PerfMark {
  static constexpr std::uint32_t own = 0x6d706631;
  static constexpr std::size_t size = 22;

  std::uint16_t queue = 0;
  std::uint64_t sequence = 0;
  std::uint64_t sent_ns = 0;  // of the monotonic clock; 0: this packet carries no time

  void write(std::uint8_t* to) const noexcept {
    std::memcpy(to, &own, 4);
    std::memcpy(to + 4, &queue, 2);
    std::memcpy(to + 6, &sequence, 8);
    std::memcpy(to + 14, &sent_ns, 8);
  }
  // False for traffic of others.
  bool read(const std::uint8_t* from) noexcept {
    std::uint32_t mark;
    std::memcpy(&mark, from, 4);
    std::memcpy(&queue, from + 4, 2);
    std::memcpy(&sequence, from + 6, 8);
    std::memcpy(&sent_ns, from + 14, 8);
    return mark == own;
  }
};

// Where the mark is, and so the least size of a packet less PerfMark::size.
inline std::size_t perf_mark_at(Mode mode) noexcept { return (mode == Mode::ethernet ? 14 : 0) + 28; }

// A packet of `size` bytes without a mark. Throws UsageError if it is too short or longer than IPv4 allows.
Bytes perf_packet(Mode mode, std::size_t size);

// "64", "imix" or "64:7,576:4,1500:1": packet sizes in the order they are sent, as often as their weights say, spread
// evenly. Throws UsageError.
std::vector<std::size_t> parse_size_mix(std::string_view text);

}  // namespace memif::tool
