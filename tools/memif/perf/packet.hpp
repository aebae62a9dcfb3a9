// The packets of memif perf: valid Ethernet, IPv4 and UDP, then a mark with queue, sequence number and time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include <memif/config.hpp>

#include "net/codec.hpp"

namespace memif::tool {

// What perf writes after the UDP header, in this machine's byte order: both ends share its memory.
struct PerfMark {
  static constexpr std::uint32_t own = 0x6d706631;
  static constexpr std::size_t size = 22;

  std::uint16_t queue = 0;
  std::uint64_t sequence = 0;
  std::uint64_t sent_ns = 0;  // of the monotonic clock; 0: this packet carries no time

  void write(void* to) const noexcept {
    auto* const at = static_cast<std::byte*>(to);
    std::memcpy(at, &own, 4);
    std::memcpy(at + 4, &queue, 2);
    write_numbers(to);
  }
  // Of a mark that is there: what differs from packet to packet, in one store.
  void write_numbers(void* to) const noexcept {
    const std::array<std::uint64_t, 2> numbers{sequence, sent_ns};
    std::memcpy(static_cast<std::byte*>(to) + 6, numbers.data(), sizeof numbers);
  }
  // False for traffic of others. `from` must be memory that the peer cannot write, or what is read be good for nothing
  // but counting.
  bool read(const void* from) noexcept {
    const auto* const at = static_cast<const std::byte*>(from);
    std::uint32_t mark;
    std::memcpy(&mark, at, 4);
    std::memcpy(&queue, at + 4, 2);
    std::memcpy(&sequence, at + 6, 8);
    std::memcpy(&sent_ns, at + 14, 8);
    return mark == own;
  }
};

// Where in a packet the mark is.
constexpr std::size_t perf_mark_at(Mode mode) noexcept { return (mode == Mode::ethernet ? 14 : 0) + 28; }

// A packet of `size` bytes without a mark. Throws UsageError if it is too short for one or longer than IPv4 allows.
Bytes perf_packet(Mode mode, std::size_t size);

// "64", "imix" or "64:7,570:4,1518:1": packet sizes in the order in which they are sent, each as often as its weight
// says, spread evenly. Throws UsageError.
std::vector<std::size_t> parse_size_mix(std::string_view text);

}  // namespace memif::tool
