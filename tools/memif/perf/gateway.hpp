// How memif perf finds its gateway, and answers others meanwhile.
#pragma once

#include <optional>

#include "common/session.hpp"
#include "perf/neighbor.hpp"

namespace memif::tool {

// The gateway's MAC address, asked for on the port's first queue. Throws Failure if nobody answers in time; nothing if
// the link went or a signal came.
std::optional<Mac> find_gateway(Session& session, const Port& port, const PerfNeighbor& own, const IpAddress& gateway);

// Sends a packet if there is room; else whoever asked asks again.
bool send_one(TxQueue& tx, View packet);

}  // namespace memif::tool
