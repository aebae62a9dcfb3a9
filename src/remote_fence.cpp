#include <cerrno>
#include <ctime>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memif/remote_fence.hpp>

namespace memif::detail {
namespace {

bool membarrier(int command) noexcept {
  const int before = errno;
  const bool done = ::syscall(SYS_membarrier, command, 0, 0) == 0;
  errno = before;
  return done;
}

}  // namespace

// Old kernels have none, and sandboxes may refuse them.
bool have_remote_fences() noexcept {
  static const bool have = membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
  return have;
}

void remote_fence() noexcept {
  if (membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED)) return;
  // Refused by a sandbox that was set up since. Stores leave a processor by themselves, within microseconds.
  timespec rest{.tv_sec = 0, .tv_nsec = 1'000'000};
  while (::clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, &rest) == EINTR) {
  }
}

}  // namespace memif::detail
