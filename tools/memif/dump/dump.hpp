// memif dump from interfaces, also for memif-extcap.
#pragma once

#include <vector>

#include "capture/sink.hpp"
#include "common/port_options.hpp"

namespace memif::tool {

// Whether two ports are joined, so that what one receives is sent to the other.
enum class Pass : bool { nothing, between };

// Captures until something ends it; returns the exit code. Throws Failure.
int capture(const CaptureOptions& options, const std::vector<PortOptions>& ports, Pass pass);

}  // namespace memif::tool
