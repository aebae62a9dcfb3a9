// What a process has of the system's resources, to be compared before and after.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <malloc.h>
#include <string>

// Present when AddressSanitizer is: its heap does not show in mallinfo2().
extern "C" [[gnu::weak]] std::size_t __sanitizer_get_current_allocated_bytes();

namespace memif::test {

struct Resources {
  std::size_t descriptors = 0;
  std::size_t mappings = 0;
  std::size_t heap = 0;  // bytes
};

inline Resources resources() {
  Resources now;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++now.descriptors;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) ++now.mappings;
  now.heap = __sanitizer_get_current_allocated_bytes != nullptr ? __sanitizer_get_current_allocated_bytes()
                                                                : ::mallinfo2().uordblks;
  return now;
}

// What the heap's own caches may hold more of, bytes.
inline std::size_t heap_noise() { return __sanitizer_get_current_allocated_bytes != nullptr ? 2048 : 8192; }

}  // namespace memif::test
