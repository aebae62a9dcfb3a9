// What memif perf has found, in words, as JSON, and against the limits that the user set.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "perf/result.hpp"

namespace memif::tool {

struct PerfLimits {
  std::string min_rate_text, max_loss_text;  // as the user wrote them
  std::optional<double> min_pps{}, min_bps{}, max_loss_percent{};
};

std::string with_prefix(double value, const char* unit);  // "1.234 Mpps"
std::string packet_rates(std::uint64_t packets, std::uint64_t bytes, double seconds);
std::string describe(const PerfInterval& interval);
std::string describe(const LatencySummary& latency);
void print_text(const PerfResult& result);

nlohmann::ordered_json to_json(const PerfResult& result);
nlohmann::ordered_json to_json(const LatencySummary& latency, PerfTest test);  // null, if there are no samples

// The limits that were missed, each in words.
std::vector<std::string> missed(const PerfLimits& limits, const PerfResult& result);

}  // namespace memif::tool
