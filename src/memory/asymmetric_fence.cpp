#include <atomic>
#include <cerrno>
#include <ctime>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memif/detail/asymmetric_fence.hpp>

namespace memif::detail {
namespace {

bool membarrier(int command) noexcept {
  const int before = errno;
  const bool done = ::syscall(SYS_membarrier, command, 0, 0) == 0;
  errno = before;
  return done;
}

enum class Answer { unknown, no, yes };

// No static variable of the function below: a child of fork() would wait forever for the thread that was about to
// initialise it. Registering twice does no harm, and a child is registered as its parent was.
constinit std::atomic<Answer> answer{Answer::unknown};

}  // namespace

// Old kernels have none, and sandboxes may refuse them.
bool have_asymmetric_fence() noexcept {
  Answer have = answer.load(std::memory_order_acquire);
  if (have == Answer::unknown) {
    const Answer mine = membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) ? Answer::yes : Answer::no;
    if (answer.compare_exchange_strong(have, mine, std::memory_order_acq_rel, std::memory_order_acquire)) have = mine;
  }
  return have == Answer::yes;
}

void asymmetric_fence() noexcept {
  if (membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED)) return;
  // Refused by a sandbox that was set up since. Stores leave a processor by themselves, within microseconds.
  timespec rest{.tv_sec = 0, .tv_nsec = 1'000'000};
  while (::clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, &rest) == EINTR) {
  }
}

}  // namespace memif::detail
