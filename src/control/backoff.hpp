// When a client tries again: at once, then less and less often. It knows no clock: who asks says what time it is.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include <memif/event_loop.hpp>

namespace memif::detail {

class Backoff {
 public:
  static constexpr Clock::duration first = std::chrono::milliseconds(10);
  // A link that lasted less is not reconnected at once: a peer that fails right after connecting would be hammered.
  static constexpr Clock::duration settled = std::chrono::milliseconds(100);

  // `period`: the longest to wait; zero: it is not tried again.
  explicit Backoff(Clock::duration period) noexcept : period_(period) {}

  // The next attempt after one that has just come to nothing, or after a link. Each time it is further away.
  std::optional<Clock::time_point> next(Clock::time_point now) noexcept {
    if (period_ == Clock::duration::zero()) return std::nullopt;
    const Clock::duration wait = std::min(wait_, period_);
    wait_ = std::max(2 * wait, first);
    return now + wait;
  }

  void came_up(Clock::time_point now) noexcept { up_since_ = now; }
  // The link went, and not because this side wanted that.
  void lost(Clock::time_point now) noexcept { wait_ = now - up_since_ > settled ? Clock::duration::zero() : first; }
  // A peer was there, and no link came of it.
  void refused() noexcept { wait_ = std::max(wait_, first); }
  // This side wants to be alone for a while.
  void put_off() noexcept { wait_ = period_; }

 private:
  Clock::duration period_;
  Clock::duration wait_{0};
  Clock::time_point up_since_{};
};

}  // namespace memif::detail
