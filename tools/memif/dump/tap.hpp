// memif dump --pid: the packets of a link that two other programs have.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

#include "capture/sink.hpp"

namespace memif::tool {

struct TapChoice {
  pid_t pid = 0;  // 0: no tap
  std::vector<std::string> interfaces{};
  std::string direction;  // "rx", "tx", or "both", as it is without
  std::vector<unsigned> queues{};
  bool keep_up = false;  // rather than stand back for all other programs
};

// Captures until something ends it; returns the exit code. Throws Failure.
int tap(const CaptureOptions& options, const TapChoice& what);

}  // namespace memif::tool
