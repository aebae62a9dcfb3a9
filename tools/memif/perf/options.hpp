// The command line of memif perf: as it is written, and what it says.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/options.hpp"
#include "common/port_options.hpp"
#include "perf/flows.hpp"
#include "perf/report.hpp"
#include "perf/sender.hpp"
#include "perf/throughput.hpp"

namespace memif::tool {

struct PerfOptions {
  PortOptions port;
  std::vector<std::string> words;  // of --port
  bool receive = false, reflect = false, both = false, json = false;
  std::string time, interval = "1s", warm_up = "0", size, rate, min_rate, max_loss;
  std::uint64_t burst = 32;
  std::vector<unsigned> cpus;
  std::vector<std::string> reports;  // files
  std::string source = "198.18.0.1", destination = "198.19.0.1", source_port = "9", destination_port = "9";
  std::string source_mac = "02:00:00:00:00:01", destination_mac = "02:00:00:00:00:02", vlan, gateway;
  std::string pattern = "mesh";
  std::uint64_t flows = 0, seed = 1;
  bool ndr = false, back_to_back = false;
  std::string pdr, sizes, resolution = "1%";
  std::uint64_t tries = 3;

  bool one_port() const noexcept { return words.size() < 2; }
  bool passive() const noexcept { return one_port() && (receive || reflect); }
  bool searches() const noexcept { return ndr || back_to_back || !pdr.empty(); }
};

void add_perf_options(Command command, PerfOptions& options);

// All of these throw UsageError.
void check(const PerfOptions& options);
PerfTest test_of(const PerfOptions& options);
PortOptions second_port(const PerfOptions& options);
PerfLimits parse_limits(const PerfOptions& options);

Clock::duration parse_time(const PerfOptions& options);  // of a measurement, or of a search's trial
std::vector<std::string> sizes_of(const PerfOptions& options, const FlowPlan& flows);  // one a measurement
ThroughputPlan parse_search(const PerfOptions& options);

// By port, or direction: what follows a comma is the second's.
using ForBoth = std::array<std::string, 2>;
ForBoth split_for_both(const std::string& text);  // the second has the first's, unless it has one of its own
std::array<double, 2> parse_rates(const PerfOptions& options, double mean_size);  // packets a second; 0: none given
std::array<FlowPlan, 2> parse_flows(const PerfOptions& options);                  // by direction
std::array<std::optional<IpAddress>, 2> parse_gateways(const PerfOptions& options);

}  // namespace memif::tool
