// When interfaces that are not connected ask again: as the program's timer says, while there are any.
#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>

#include <memif/event_loop.hpp>

namespace memif::capi {

class RequestTimer {
 public:
  explicit RequestTimer(const itimerspec& setting) noexcept : setting_(setting) {}

  static bool valid(const itimerspec& setting) noexcept {
    return valid(setting.it_value) && valid(setting.it_interval);
  }
  void set(const itimerspec& setting) noexcept {
    setting_ = setting;
    due_.reset();
  }

  // Whether anybody waits for it. A first time of zero is one interval.
  void want(bool wanted, Clock::time_point now) noexcept {
    if (!wanted) {
      due_.reset();
    } else if (!due_) {
      const auto first = duration(setting_.it_value), interval = duration(setting_.it_interval);
      if (first.count() != 0 || interval.count() != 0) due_ = now + (first.count() != 0 ? first : interval);
    }
  }

  // True once each time that it is due.
  bool take(Clock::time_point now) noexcept {
    if (!due_ || *due_ > now) return false;
    const auto interval = duration(setting_.it_interval);
    if (interval.count() != 0)
      due_ = now + interval;
    else
      due_.reset();
    return true;
  }

  const std::optional<Clock::time_point>& due() const noexcept { return due_; }

 private:
  static bool valid(const timespec& time) noexcept {
    return time.tv_sec >= 0 && time.tv_nsec >= 0 && time.tv_nsec < 1'000'000'000;
  }
  // A century stands for whatever is longer: no sum of times overflows.
  static std::chrono::nanoseconds duration(const timespec& time) noexcept {
    constexpr time_t century = time_t{100} * 365 * 24 * 3600;
    return std::chrono::seconds(std::min(time.tv_sec, century)) + std::chrono::nanoseconds(time.tv_nsec);
  }

  itimerspec setting_;
  std::optional<Clock::time_point> due_;
};

}  // namespace memif::capi
