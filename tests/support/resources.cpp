#include "resources.hpp"

#include <filesystem>
#include <fstream>
#include <malloc.h>
#include <string>

// Present when AddressSanitizer is: its heap does not show in mallinfo2().
extern "C" [[gnu::weak]] std::size_t __sanitizer_get_current_allocated_bytes();

namespace memif::test {
namespace {

std::size_t count_mappings(const char* of) {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) count += line.find(of) != std::string::npos ? 1 : 0;
  return count;
}

}  // namespace

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

std::size_t shared_mappings() { return count_mappings("/memfd:"); }

Resources resources() {
  Resources now{.descriptors = open_descriptors(), .mappings = count_mappings("")};
  now.heap = __sanitizer_get_current_allocated_bytes != nullptr ? __sanitizer_get_current_allocated_bytes()
                                                                : ::mallinfo2().uordblks;
  return now;
}

std::size_t heap_noise() { return __sanitizer_get_current_allocated_bytes != nullptr ? 2048 : 8192; }

}  // namespace memif::test
