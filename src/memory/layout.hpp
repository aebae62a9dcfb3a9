// How a client lays its memory out.
#pragma once

#include <cstdint>

#include <memif/config.hpp>
#include <memif/detail/wire.hpp>

namespace memif::detail {

static_assert(max_queues == wire::max_rings);

inline constexpr std::uint32_t max_buffer_size = 1u << 20;             // bytes
inline constexpr std::uint64_t offset_limit = std::uint64_t{1} << 32;  // a descriptor's offset has 32 bits

// Whether the buffers lie in memory that the library makes for this interface. They follow the rings in the same region
// then, since some servers map no other: docs/protocol.md, "Shared memory".
inline bool own_memory(const InterfaceConfig& config) noexcept {
  return !config.pool && !config.memory && !(config.memory_hooks && config.memory_hooks->provide);
}

// An odd number of cache lines, so that the buffers' first lines spread over all cache sets.
inline std::uint32_t spread_stride(std::uint32_t buffer_size) noexcept { return (((buffer_size + 63) / 64) | 1) * 64; }

// Bytes from one buffer to the next: in the application's memory as close as they fit, since it made room for no more.
inline std::uint32_t buffer_stride(const InterfaceConfig& config) noexcept {
  return own_memory(config) ? spread_stride(config.buffer_size) : config.buffer_size;
}

// Bytes from one ring to the next: each begins at a cache line.
inline std::uint64_t ring_stride(unsigned log2_ring_size) noexcept {
  return (wire::ring_bytes(log2_ring_size) + wire::cache_line - 1) / wire::cache_line * wire::cache_line;
}

// Bytes of so many rings, in whole pages.
inline std::uint64_t rings_bytes(std::size_t rings, unsigned log2_ring_size) noexcept {
  constexpr std::uint64_t page = 4096;
  return (rings * ring_stride(log2_ring_size) + page - 1) / page * page;
}

}  // namespace memif::detail
