// Between shared memory and our own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

#include <memif/memif.hpp>

#include "net/codec.hpp"

namespace memif::tool {

// The longest IP packet is 65535 bytes after a header of 40 (IPv6); before it, an Ethernet header and tags.
inline constexpr std::size_t max_packet = 65536 + 64;
// Room for one of those in buffers of 64 bytes, or for a long burst.
inline constexpr std::size_t burst_buffers = 2048;

// TxBurst::add(), for a length that may be more than a packet can have.
inline bool add_packet(TxBurst& burst, std::size_t size) {
  return size <= std::numeric_limits<std::uint32_t>::max() && burst.add(static_cast<std::uint32_t>(size));
}

// A copy of the first bytes of a packet, as many as there is room for.
inline View copy_head(const Packet& packet, std::span<std::uint8_t> room) {
  return room.first(packet.copy_to(std::as_writable_bytes(room)));
}

// As much of `from` as fits into `to`. A peer may have laid one over the other.
inline void copy_packet(const Packet& from, const Packet& to) {
  const auto targets = to.buffers();
  std::size_t target = 0, at = 0;
  for (const Buffer& buffer : from.buffers()) {
    for (auto source = buffer.bytes(); !source.empty() && target < targets.size();) {
      const auto room = targets[target].bytes().subspan(at);
      const std::size_t n = std::min(source.size(), room.size());
      std::memmove(room.data(), source.data(), n);
      source = source.subspan(n);
      at += n;
      if (n == room.size()) {
        ++target;
        at = 0;
      }
    }
  }
}

}  // namespace memif::tool
