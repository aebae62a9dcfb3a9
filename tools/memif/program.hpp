// What main() is made of, in the programs that are installed.
#pragma once

#include "command.hpp"

namespace memif::tool {

// Understands the arguments. False if they only asked for a text, such as --help, which is then printed. Throws
// UsageError.
bool parse_arguments(CLI::App& app, int argc, char** argv);

// Runs `program` and turns what it throws into messages and exit codes.
int run_program(const Action& program) noexcept;

}  // namespace memif::tool
