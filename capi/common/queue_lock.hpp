// The lock of a queue, held for the length of a data call. Programs refill a queue in on_connect, on their control
// thread, while their worker is at it already; mostly nobody contends.
#pragma once

#include <atomic>
#include <sched.h>

namespace memif::capi {

class QueueLock {
 public:
  void lock() noexcept {
    for (int tries = 0; held_.exchange(true, std::memory_order_acquire); ++tries)
      if (tries >= 64) ::sched_yield();
  }
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

}  // namespace memif::capi
