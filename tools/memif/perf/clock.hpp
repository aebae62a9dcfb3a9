// The clock of memif perf's marks.
#pragma once

#include <chrono>
#include <cstdint>

namespace memif::tool {

inline std::uint64_t now_ns() noexcept {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

}  // namespace memif::tool
