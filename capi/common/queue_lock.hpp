// The lock of a queue, held for the length of a data call. Programs refill a queue in on_connect, on their control
// thread, while their worker is at it already; mostly nobody contends.
//
// An atomic exchange would wait for all stores before it, and so for the packets that the peer still has in its cache:
// dear, in each call. So the lock belongs to the thread that took it last, which takes it again by a store and a load.
// Another thread first makes itself heard by all CPUs (membarrier(2)); then the owner has either seen that it is one no
// more, or is seen to hold the lock:
//
//   owner                              another thread
//   store held                         store owner = nobody
//   (compiler only)                    membarrier
//   load owner: is it me?              load held: wait until it is not
//
// That takes some microseconds. A lock that goes from hand to hand stops belonging to anybody.
#pragma once

#include <atomic>
#include <cstdint>

namespace memif::capi {

class QueueLock {
 public:
  // Asks the kernel for what the above needs, once; without it no lock belongs to anybody. Before a queue is used.
  static void prepare() noexcept;

  void lock() noexcept {
    const void* const self = __builtin_thread_pointer();
    if (owner_.load(std::memory_order_relaxed) == self) [[likely]] {
      held_.store(true, std::memory_order_relaxed);
      std::atomic_signal_fence(std::memory_order_seq_cst);
      if (owner_.load(std::memory_order_relaxed) == self) [[likely]]
        return;
      held_.store(false, std::memory_order_release);
    }
    take(self);
  }
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

 private:
  void take(const void* self) noexcept;

  std::atomic<const void*> owner_{nullptr};
  std::atomic<bool> held_{false};
  std::atomic<bool> taking_{false};
  std::uint8_t owners_ = 0;  // so far; of whoever is taking it
};

}  // namespace memif::capi
