// Counters in the text format that Prometheus reads, version 0.0.4.
#pragma once

#include <string>
#include <vector>

#include <memif/observe.hpp>

namespace memif::tool {

// Every metric with its help and type, all samples of one together. No two interfaces of `all` have the same pid,
// socket, id and role. docs/metrics.md lists the names.
std::string metrics_text(const Observation& all);

}  // namespace memif::tool
