// What main() is made of, in the programs that are installed.
#pragma once

#include "common/command.hpp"

namespace memif::tool {

// Runs `program` and turns what it throws into messages and exit codes.
int run_program(const Action& program) noexcept;

}  // namespace memif::tool
