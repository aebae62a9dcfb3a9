// How a client lays its packet buffers out.
#pragma once

#include <cstdint>

#include <memif/config.hpp>

namespace memif::detail {

// Bytes from one buffer to the next. In memory of our own an odd number of cache lines, so that the buffers' first
// lines spread over all cache sets; in the application's as close as they fit, since it made room for no more.
inline std::uint32_t buffer_stride(const InterfaceConfig& config) noexcept {
  const bool own = !config.memory && !(config.memory_hooks && config.memory_hooks->provide);
  return own ? (((config.buffer_size + 63) / 64) | 1) * 64 : config.buffer_size;
}

}  // namespace memif::detail
