// What memif perf has found. docs/perf.md has the schema.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/latency.hpp"
#include "perf/counts.hpp"

namespace memif::tool {

enum class PerfTest { one_way, both_ways, round_trip, receive, reflect };
const char* name_of(PerfTest test) noexcept;

struct PerfInterval {
  double from = 0, to = 0;             // seconds
  PerfSums moved{};                    // in that time
  std::optional<std::int64_t> lost{};  // found in that time; negative: some that were missing have come after all
  LatencySummary latency{};
};

// Packets on their way in one direction, or in all.
struct PerfTally {
  PerfSums total;
  std::optional<std::uint64_t> expected;  // packets that should have arrived; nothing: it cannot be known
  LatencyStats latency;
  std::vector<PerfInterval> intervals;

  std::optional<std::uint64_t> lost() const;
  std::optional<double> loss_percent() const;
};

struct PerfQueue {
  std::uint16_t queue = 0;
  const char* does = "";
  PerfSums total;
  std::uint64_t cpu_ns = 0;  // that its thread took

  std::optional<double> cpu_ns_per_packet() const;
};

struct PerfResult {
  PerfTest test = PerfTest::one_way;
  double seconds = 0;
  PerfTally all{};
  std::vector<PerfTally> directions{};  // of both_ways: from the first port, and from the second
  std::vector<PerfQueue> queues{};
};

double per_second_of(std::uint64_t count, double seconds) noexcept;

// Of several directions, the worst, in percent; nothing, where it is not known.
std::optional<double> worst_loss(const PerfResult& result);

}  // namespace memif::tool
