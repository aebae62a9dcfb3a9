// The table of memif top: a row for each queue pair, as many columns as fit.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "observe/observed.hpp"
#include "observe/rates.hpp"

namespace memif::tool {

enum class TopOrder { packets, bits, drops, name };

// "1.23M", "56.7k", "890", "0": at most five characters.
std::string short_number(double value);

// Heading and rows, sorted, none wider than `available` columns. `rates` as RateMeter::measure() returns them for
// `seen`.
std::vector<std::string> top_table(const std::vector<ObservedInterface>& seen,
                                   const std::vector<std::vector<QueueRates>>& rates, TopOrder order,
                                   std::size_t available);

}  // namespace memif::tool
