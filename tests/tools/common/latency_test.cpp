#include "common/latency.hpp"

#include <gtest/gtest.h>

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

TEST(Latency, IsZeroWhileEmpty) {
  const LatencyStats stats;
  EXPECT_EQ(stats.percentile(50), 0);
  EXPECT_EQ(stats.min(), 0);
  EXPECT_EQ(stats.stddev(), 0);
}

TEST(Latency, OfOneValueIsThatValue) {
  LatencyStats stats;
  stats.add(123'456'789ns);
  for (const double percent : {0.0, 50.0, 99.0, 100.0}) EXPECT_EQ(stats.percentile(percent), 123'456'789);
}

TEST(Latency, PercentilesAreWithinOnePartIn64) {
  LatencyStats stats;
  for (int i = 1; i <= 100'000; ++i) stats.add(std::chrono::nanoseconds(i));
  EXPECT_NEAR(stats.percentile(50), 50'000, 50'000.0 / 64);
  EXPECT_NEAR(stats.percentile(99), 99'000, 99'000.0 / 64);
  EXPECT_EQ(stats.min(), 1);
  EXPECT_EQ(stats.max(), 100'000);
  EXPECT_NEAR(stats.mean(), 50'000.5, 0.01);
  EXPECT_NEAR(stats.stddev(), 28'867.5, 0.1);
}

TEST(Latency, TakesAnyDuration) {
  LatencyStats stats;
  stats.add(std::chrono::nanoseconds::max());
  stats.add(-5ns);
  EXPECT_EQ(stats.min(), 0);
  EXPECT_EQ(stats.max(), static_cast<double>(std::chrono::nanoseconds::max().count()));
  EXPECT_LE(stats.percentile(99), stats.max());
}

TEST(Latency, OfTwoPartsIsThatOfTheWhole) {
  LatencyStats whole, sum, odd;
  for (int i = 1; i <= 1000; ++i) {
    whole.add(std::chrono::nanoseconds(i * i));
    (i % 2 == 0 ? sum : odd).add(std::chrono::nanoseconds(i * i));
  }
  sum.add(odd);
  sum.add(LatencyStats{});
  EXPECT_EQ(sum.count(), 1000u);
  EXPECT_EQ(sum.min(), 1);
  EXPECT_EQ(sum.max(), 1'000'000);
  EXPECT_EQ(sum.percentile(99), whole.percentile(99));
  EXPECT_NEAR(sum.mean(), whole.mean(), 1e-6);
  EXPECT_NEAR(sum.stddev(), whole.stddev(), 1e-6);
}

}  // namespace
}  // namespace memif::tool
