// Options that are whole numbers.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>

namespace memif::tool {

// For CLI::Option::transform(): decimal, within the limits. CLI11 by itself takes "-1" for a very large number, "010"
// for 8, and what is too large for the largest.
CLI::Validator whole_number(std::uint64_t min = 0, std::uint64_t max = std::numeric_limits<std::uint64_t>::max());

}  // namespace memif::tool
