// The flows of memif perf: which addresses, ports and tags its packets have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <memif/config.hpp>

#include "net/codec.hpp"
#include "perf/range.hpp"

namespace memif::tool {

// Hosts: the i-th has the i-th address and the i-th MAC address, whichever are fewer from the beginning again.
struct PerfHosts {
  FieldRange macs, addresses, ports;
  std::uint64_t count() const noexcept;
};

// In which combinations sources and destinations, and their ports, are used.
enum class FlowPattern {
  mesh,    // each with each; the source changes first, then the destination, its port last
  pairs,   // the first with the first, the second with the second, whichever are fewer from the beginning again
  random,  // each drawn by itself
};

struct FlowPlan {
  Mode mode = Mode::ethernet;
  PerfHosts source{}, destination{};
  std::vector<std::uint16_t> vlans{};  // outermost first
  FlowPattern pattern = FlowPattern::mesh;
  std::uint64_t flows = 0;  // the first ones of the pattern; 0: all of them, but not more than 65536 random ones
  std::uint64_t seed = 1;
};

// The same the other way round, without what the way back has of its own: tags.
FlowPlan reversed(const FlowPlan& plan);

// A flow as the number of each of its parts.
struct Flow {
  std::uint64_t source, destination, source_port, destination_port;
};

// One after another. Throws UsageError if they are more than perf has memory for.
std::vector<Flow> list_flows(const FlowPlan& plan);

// Everything of a packet of `size` bytes before its payload. The checksum of UDP is 0, "none", or with IPv6, which has
// no "none", the sum over all but the payload, not complemented yet.
Bytes make_headers(const FlowPlan& plan, const Flow& flow, std::size_t size);
std::size_t headers_size(const FlowPlan& plan) noexcept;

}  // namespace memif::tool
