// The whole command line: what main() parses, and what the manual pages and completions are made from.
#pragma once

#include <array>
#include <string>

#include "common/command.hpp"
#include "common/options.hpp"

namespace memif::tool {

struct ExitMeaning {
  ExitCode code;
  const char* meaning;
};
inline constexpr std::array exit_meanings{
    ExitMeaning{exit_done, "done"},
    ExitMeaning{exit_failed, "failed while running"},
    ExitMeaning{exit_usage, "wrong usage"},
    ExitMeaning{exit_no_peer, "no peer"},
    ExitMeaning{exit_threshold, "a limit that was set was missed"},
};

// What begins a line of a help text that is a command to try; the rest of a footer is prose. The tests run them all.
inline constexpr const char* example_label = "Example: ";
inline constexpr const char* exit_codes_label = "Exit codes: ";

std::string version_text();  // "memif 0.1.0"

// Every subcommand, and what they have in common. `action` is set when one is chosen.
CommandLine build_app(Action& action);

}  // namespace memif::tool
