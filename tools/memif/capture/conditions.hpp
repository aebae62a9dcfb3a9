// The conditions on which a capture ends (-a), or goes on in the next file (-b).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace memif::tool {

struct CaptureConditions {
  std::uint64_t packets = 0;  // 0, here and below: no limit
  std::uint64_t bytes = 0;
  std::uint64_t files = 0;
  std::optional<std::chrono::nanoseconds> duration{};

  // Whether one of these calls for the next file.
  bool change_file() const noexcept { return packets != 0 || bytes != 0 || duration; }
};

// "duration:5s", "packets:1000", "filesize:10MiB", "files:3", each at most once. `option` is what messages call them
// by. Throws UsageError.
CaptureConditions parse_conditions(const std::string& option, const std::vector<std::string>& texts);

}  // namespace memif::tool
