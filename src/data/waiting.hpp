// What waits have in common: clocks, and how to spin.
#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace memif::detail {

using SteadyTime = std::chrono::steady_clock::time_point;

// So many looks at a ring cost as much as some reads of the clock.
inline constexpr int looks_per_clock_read = 32;

inline void relax() noexcept {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Negative and far-away time-outs are "never".
inline std::optional<SteadyTime> deadline_after(std::chrono::nanoseconds timeout) noexcept {
  if (timeout < std::chrono::nanoseconds::zero() || timeout > std::chrono::hours(24 * 365)) return std::nullopt;
  return std::chrono::steady_clock::now() + timeout;
}

// Negative: without end.
inline std::chrono::nanoseconds left_until(const std::optional<SteadyTime>& deadline) noexcept {
  if (!deadline) return std::chrono::nanoseconds(-1);
  return std::max<std::chrono::nanoseconds>(*deadline - std::chrono::steady_clock::now(),
                                            std::chrono::nanoseconds::zero());
}

inline std::chrono::nanoseconds shorter(std::chrono::nanoseconds timeout, std::chrono::nanoseconds limit) noexcept {
  return timeout < std::chrono::nanoseconds::zero() ? limit : std::min(timeout, limit);
}

inline timespec to_timespec(std::chrono::nanoseconds time) noexcept {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  return {.tv_sec = static_cast<time_t>(seconds.count()), .tv_nsec = static_cast<long>((time - seconds).count())};
}

}  // namespace memif::detail
