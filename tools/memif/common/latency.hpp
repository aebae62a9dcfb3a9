// Statistics of durations in constant memory.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace memif::tool {

// Nanoseconds; all 0 where there are no samples.
struct LatencySummary {
  std::uint64_t samples = 0;
  double min = 0, mean = 0, p50 = 0, p90 = 0, p99 = 0, p99_9 = 0, p99_99 = 0, max = 0;
};

// Counts durations in buckets whose width grows with the value: percentiles are right to within one part in 64, the
// least, the greatest, mean and deviation exactly.
class LatencyStats {
 public:
  void add(std::chrono::nanoseconds duration) noexcept;
  void add(const LatencyStats& other) noexcept;

  std::uint64_t count() const noexcept { return count_; }

  // Nanoseconds; 0 while there are none.
  double min() const noexcept { return static_cast<double>(min_); }
  double max() const noexcept { return static_cast<double>(max_); }
  double mean() const noexcept { return mean_; }
  double stddev() const noexcept;
  double percentile(double percent) const noexcept;  // 0..100
  LatencySummary summary() const noexcept;

 private:
  static constexpr unsigned sub_bits = 6;
  static constexpr std::size_t buckets = (64 - sub_bits + 1) << sub_bits;

  static std::size_t bucket(std::uint64_t value) noexcept;
  static std::uint64_t middle(std::size_t bucket) noexcept;

  std::array<std::uint64_t, buckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t min_ = 0, max_ = 0;
  double mean_ = 0, squares_ = 0;  // Welford's running mean and sum of squared differences
};

}  // namespace memif::tool
