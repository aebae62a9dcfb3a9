#include "common/latency.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace memif::tool {

// Values below 2^sub_bits have a bucket each; above, each power of two is cut into 2^sub_bits equal parts.
std::size_t LatencyStats::bucket(std::uint64_t value) noexcept {
  const auto width = static_cast<unsigned>(std::bit_width(value));
  if (width <= sub_bits) return value;
  const unsigned shift = width - sub_bits - 1;
  return (static_cast<std::size_t>(shift) << sub_bits) + (value >> shift);
}

std::uint64_t LatencyStats::middle(std::size_t bucket) noexcept {
  if (bucket < (2u << sub_bits)) return bucket;
  const std::size_t shift = (bucket >> sub_bits) - 1;
  const std::uint64_t low = (bucket - (shift << sub_bits)) << shift;
  return low + ((std::uint64_t{1} << shift) >> 1);
}

void LatencyStats::add(std::chrono::nanoseconds duration) noexcept {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
  ++counts_[bucket(value)];
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = std::max(max_, value);
  ++count_;
  const double difference = static_cast<double>(value) - mean_;
  mean_ += difference / static_cast<double>(count_);
  squares_ += difference * (static_cast<double>(value) - mean_);
}

void LatencyStats::add(const LatencyStats& other) noexcept {
  if (other.count_ == 0) return;
  for (std::size_t i = 0; i < buckets; ++i) counts_[i] += other.counts_[i];
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  const auto own = static_cast<double>(count_), theirs = static_cast<double>(other.count_);
  const double difference = other.mean_ - mean_;
  count_ += other.count_;
  mean_ += difference * theirs / (own + theirs);
  squares_ += other.squares_ + difference * difference * own * theirs / (own + theirs);
}

double LatencyStats::stddev() const noexcept {
  return count_ == 0 ? 0 : std::sqrt(squares_ / static_cast<double>(count_));
}

double LatencyStats::percentile(double percent) const noexcept {
  const auto wanted = std::max(1.0, std::ceil(static_cast<double>(count_) * percent / 100));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets; ++i) {
    seen += counts_[i];
    if (seen != 0 && static_cast<double>(seen) >= wanted) return static_cast<double>(std::clamp(middle(i), min_, max_));
  }
  return 0;
}

LatencySummary LatencyStats::summary() const noexcept {
  return {count(),           min(), mean(), percentile(50), percentile(90), percentile(99), percentile(99.9),
          percentile(99.99), max()};
}

}  // namespace memif::tool
