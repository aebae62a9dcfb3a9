// What looking at programs may cost: who publishes a lot, or slowly, holds nobody up. docs/observing.md, "Limits".
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <ctime>

namespace memif::detail {

struct Allowance {
  std::size_t files;                  // with the name of a publication
  std::size_t bytes;                  // of publications
  std::chrono::nanoseconds cpu;       // of this thread's
  std::chrono::nanoseconds elapsed;   // by the clock on the wall
  std::chrono::nanoseconds patience;  // of that, with changes that have begun and do not end
};

// Of one program, whoever looks at it.
inline constexpr Allowance per_program{1024, std::size_t{1} << 20, std::chrono::milliseconds(200),
                                       std::chrono::seconds(1), std::chrono::milliseconds(50)};

inline Allowance smaller(const Allowance& a, const Allowance& b) {
  return {std::min(a.files, b.files), std::min(a.bytes, b.bytes), std::min(a.cpu, b.cpu),
          std::min(a.elapsed, b.elapsed), std::min(a.patience, b.patience)};
}

// An allowance being spent.
class Purse {
 public:
  explicit Purse(const Allowance& allowance) : given_(allowance), left_(allowance) {}

  bool take_file() { return time_left() && left_.files != 0 && left_.files-- != 0; }
  bool take_bytes(std::size_t bytes) {
    if (bytes > left_.bytes) return false;
    left_.bytes -= bytes;
    return true;
  }
  bool time_left() const { return cpu() < given_.cpu && elapsed() < given_.elapsed; }
  std::chrono::nanoseconds& patience() { return left_.patience; }

  // What is left of an allowance after this was taken from it.
  Allowance rest_of(const Allowance& whole) const {
    constexpr std::chrono::nanoseconds none{0};
    return {whole.files - (given_.files - left_.files), whole.bytes - (given_.bytes - left_.bytes),
            std::max(none, whole.cpu - cpu()), std::max(none, whole.elapsed - elapsed()),
            std::max(none, whole.patience - (given_.patience - left_.patience))};
  }

 private:
  static std::chrono::nanoseconds now(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  }
  std::chrono::nanoseconds cpu() const { return now(CLOCK_THREAD_CPUTIME_ID) - cpu_began_; }
  std::chrono::nanoseconds elapsed() const { return now(CLOCK_MONOTONIC) - began_; }

  const Allowance given_;
  Allowance left_;
  std::chrono::nanoseconds cpu_began_ = now(CLOCK_THREAD_CPUTIME_ID), began_ = now(CLOCK_MONOTONIC);
};

}  // namespace memif::detail
