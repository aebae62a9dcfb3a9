#include "queue_lock.hpp"

#include <sched.h>

#include <memif/remote_fence.hpp>

namespace memif::capi {
namespace {

template <class Condition>
void spin_until(Condition condition) noexcept {
  for (int tries = 0; !condition(); ++tries)
    if (tries >= 64) ::sched_yield();
}

}  // namespace

constinit std::atomic<std::uint32_t> QueueLock::visits_{1};

void QueueLock::prepare() noexcept {
  static const bool prepared = [] {
    if (detail::have_remote_fences()) visits_.fetch_sub(1, std::memory_order_release);
    return true;
  }();
  static_cast<void>(prepared);
}

QueueLock::Visit::Visit() noexcept {
  visits_.fetch_add(1, std::memory_order_seq_cst);
  if (detail::have_remote_fences()) detail::remote_fence();
}

void QueueLock::lock_in_turn() noexcept {
  spin_until([this] { return !turn_taken_.exchange(true, std::memory_order_acquire); });
  spin_until([this] { return !held_.load(std::memory_order_acquire); });
  in_turn_ = true;
}

void QueueLock::unlock_in_turn() noexcept {
  in_turn_ = false;
  turn_taken_.store(false, std::memory_order_release);
}

}  // namespace memif::capi
