// What memif perf has found, in words, as JSON, and against the limits that the user set. docs/perf.md has the schema.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/latency.hpp"

namespace memif::tool {

struct PerfSums {
  std::uint64_t sent = 0, sent_bytes = 0, received = 0, received_bytes = 0;
  std::uint64_t arrived = 0;  // of those received, different packets of memif perf
  std::uint64_t foreign = 0, out_of_order = 0, duplicates = 0;

  PerfSums& operator+=(const PerfSums& other);
};
PerfSums operator-(const PerfSums& now, const PerfSums& before);

struct PerfInterval {
  double from = 0, to = 0;  // seconds
  PerfSums moved;           // in that time
};

struct PerfQueue {
  std::uint16_t queue = 0;
  const char* does = "";
  PerfSums total;
};

struct PerfResult {
  const char* test = "";  // "one_way", "round_trip", "receive" or "reflect"
  double seconds = 0;
  PerfSums total;
  std::optional<std::uint64_t> expected;  // packets that should have arrived; nothing: it cannot be known
  LatencyStats latency;
  std::vector<PerfQueue> queues;
  std::vector<PerfInterval> intervals;

  std::optional<std::uint64_t> lost() const;
  std::optional<double> loss_percent() const;
};

struct PerfLimits {
  std::string min_rate_text, max_loss_text;  // as the user wrote them
  std::optional<double> min_pps{}, min_bps{}, max_loss_percent{};
};

std::string describe(const PerfInterval& interval);
void print_text(const PerfResult& result);
void print_json(const PerfResult& result);

// The limits that were missed, each in words.
std::vector<std::string> missed(const PerfLimits& limits, const PerfResult& result);

}  // namespace memif::tool
