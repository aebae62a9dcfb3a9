// What waits have in common: clocks, and how to spin.
#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>

#include <memif/config.hpp>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace memif::detail {

using SteadyTime = std::chrono::steady_clock::time_point;

// So many looks at a ring cost as much as some reads of the clock.
inline constexpr int looks_per_clock_read = 32;

// So often a thread that spins over several rings looks at all else.
inline constexpr auto poll_period = std::chrono::microseconds(20);

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

// For how long a wait spins before it sleeps.
inline std::chrono::nanoseconds spin_of(RxMode mode, std::chrono::nanoseconds adaptive) noexcept {
  return mode == RxMode::polling    ? std::chrono::nanoseconds::max()
         : mode == RxMode::adaptive ? adaptive
                                    : std::chrono::nanoseconds::zero();
}

// Nobody tells a sender of free slots, so it naps between looks. However long that took, it learns of them after an
// eighth of the time more, or 10 ms; a peer that has stopped costs it 100 looks a second.
inline std::chrono::nanoseconds nap_after(std::chrono::nanoseconds waited) noexcept {
  return std::clamp<std::chrono::nanoseconds>(waited / 8, std::chrono::microseconds(50), std::chrono::milliseconds(10));
}

inline std::chrono::nanoseconds shorter(std::chrono::nanoseconds timeout, std::chrono::nanoseconds limit) noexcept {
  return timeout < std::chrono::nanoseconds::zero() ? limit : std::min(timeout, limit);
}

inline timespec to_timespec(std::chrono::nanoseconds time) noexcept {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  return {.tv_sec = static_cast<time_t>(seconds.count()), .tv_nsec = static_cast<long>((time - seconds).count())};
}

}  // namespace memif::detail
