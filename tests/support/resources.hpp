// What this process holds of the system's resources, to be compared.
#pragma once

#include <cstddef>
#include <string_view>
#include <sys/types.h>

namespace memif::test {

// Something of peers' is about to be closed, unmapped or signalled.
bool is_closing();

// Not counting that.
std::size_t open_descriptors();
std::size_t shared_mappings();  // of memory files

// Threads of this process: how many, and one of them or -1.
std::size_t threads_named(std::string_view name);
pid_t thread_named(std::string_view name);

struct Resources {
  std::size_t descriptors = 0;
  std::size_t mappings = 0;  // but for nameless private memory, which is the heap's and that of stacks
  std::size_t heap = 0;      // bytes
};
Resources resources();
// What the heap's own caches may hold more of, bytes.
std::size_t heap_noise();

}  // namespace memif::test
