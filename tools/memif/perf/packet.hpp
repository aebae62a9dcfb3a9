// What memif perf finds its packets by: a mark behind the UDP header, with series, sequence number and time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include <memif/config.hpp>

#include "net/codec.hpp"

namespace memif::tool {

// In this machine's byte order: both ends share its memory.
struct PerfMark {
  static constexpr std::uint32_t own = 0x6d706631;
  static constexpr std::size_t size = 22;

  std::uint16_t series = 0;  // one for each sender of each trial: perf_series()
  std::uint64_t sequence = 0;
  std::uint64_t sent_ns = 0;  // of the monotonic clock; 0: this packet carries no time

  void write(void* to) const noexcept {
    auto* const at = static_cast<std::byte*>(to);
    std::memcpy(at, &own, 4);
    std::memcpy(at + 4, &series, 2);
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
    std::memcpy(&series, at + 4, 2);
    std::memcpy(&sequence, at + 6, 8);
    std::memcpy(&sent_ns, at + 14, 8);
    return mark == own;
  }
};

// Series of one direction of a trial, one a queue, so that what is late of a trial is not taken for the next one's.
struct PerfSeries {
  std::uint16_t first = 0;
  std::uint32_t count = 65536;  // all there are: for a receiver of others' packets

  static constexpr std::uint32_t queues = 256, directions = 2;
  static PerfSeries of(std::uint64_t trial, unsigned direction) noexcept {
    return {static_cast<std::uint16_t>((trial * directions + direction) * queues), queues};
  }
  bool contains(std::uint16_t series) const noexcept { return static_cast<std::uint16_t>(series - first) < count; }
};

// Where in a packet a mark would be: behind the tags, IP and UDP headers that it has; nothing if it is no UDP. `head`
// is a copy of its first bytes.
std::optional<std::size_t> find_mark(View head, Mode mode) noexcept;

// "64", "imix" or "64:7,570:4,1518:1": packet sizes in the order in which they are sent, each as often as its weight
// says, spread evenly. Throws UsageError.
std::vector<std::size_t> parse_size_mix(std::string_view text);

}  // namespace memif::tool
