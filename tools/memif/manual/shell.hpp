// Completion of the memif command in shells: of subcommands, options, and values that are a choice or a file.
#pragma once

#include <string>

#include "manual/tree.hpp"

namespace memif::tool {

std::string bash_completion(const ManualCommand& root);
std::string zsh_completion(const ManualCommand& root);

}  // namespace memif::tool
