// What a running program publishes, for commands that are told its process.
#pragma once

#include <sys/types.h>

#include <memif/observe.hpp>

namespace memif::tool {

// One interface at least. Throws Failure, with what to do, if there is none to see.
Observation published_by(pid_t pid);

}  // namespace memif::tool
