#include "queue_lock.hpp"

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace memif::capi {
namespace {

constexpr std::uint8_t most_owners = 16;

bool membarrier(int command) noexcept { return ::syscall(SYS_membarrier, command, 0, 0) == 0; }

std::atomic<bool> prepared{false};

template <class Condition>
void spin_until(Condition condition) noexcept {
  for (int tries = 0; !condition(); ++tries)
    if (tries >= 64) ::sched_yield();
}

}  // namespace

void QueueLock::prepare() noexcept {
  if (!prepared.load(std::memory_order_relaxed) && membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
    prepared.store(true, std::memory_order_relaxed);
}

void QueueLock::take(const void* self) noexcept {
  spin_until([this] { return !taking_.exchange(true, std::memory_order_acquire); });
  // A process that has been forked may have to ask the slow way.
  if (owner_.exchange(nullptr, std::memory_order_relaxed) != nullptr && !membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
    membarrier(MEMBARRIER_CMD_GLOBAL);
  spin_until([this] { return !held_.load(std::memory_order_acquire); });
  held_.store(true, std::memory_order_relaxed);
  if (owners_ != most_owners && prepared.load(std::memory_order_relaxed)) {
    ++owners_;
    owner_.store(self, std::memory_order_relaxed);
  }
  taking_.store(false, std::memory_order_release);
}

}  // namespace memif::capi
