// What memif perf has found, in words, as JSON, and against the limits that the user set.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/session.hpp"
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

// A port and its peer: "socket", "id", "role", "mode", "rx_queues", "tx_queues", "ring_size", "buffer_size", "peer".
nlohmann::ordered_json to_json(const Port& port);

// The limits that were missed, each in words.
std::vector<std::string> missed(const PerfLimits& limits, const PerfResult& result);

}  // namespace memif::tool
