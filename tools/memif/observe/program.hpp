// The part of memif info that shows running programs.
#pragma once

#include <sys/types.h>
#include <vector>

namespace memif::tool {

// Everything that these programs publish or, with none named, all do; `brief`: a line an interface. Returns the exit
// code; throws Failure.
int show_programs(const std::vector<pid_t>& pids, bool brief, bool json);

}  // namespace memif::tool
