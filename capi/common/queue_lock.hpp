// The lock of a queue, held for the length of a data call.
//
// One thread at a time uses a queue, with one exception: a program's on_connect and on_disconnect run on its control
// thread and may use a queue, mostly to refill it, while its worker is at it. Such a callback is a Visit. While there
// is none, nobody contends, and to take a queue is to store a flag: an atomic exchange would wait until all that was
// stored before it, packets that the peer still has in its cache, has left the processor.
//
// Either side stores, then loads what the other one stores: a holder `held_`, then the number of visits; a visit that
// number, then, in the data calls that it makes, `held_`. At least one must see the other, for which both need a fence
// between the two. The visit makes the holders' as well: a remote fence. A holder that has seen no visit is seen by it;
// all others take an ordinary lock, and then wait for that holder.
#pragma once

#include <atomic>
#include <cstdint>

namespace memif::capi {

class QueueLock {
 public:
  // On the stack of the thread that calls the program back.
  class Visit {
   public:
    Visit() noexcept;
    ~Visit() { visits_.fetch_sub(1, std::memory_order_release); }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
  };

  // Before there is a queue.
  static void prepare() noexcept;

  // A visitor must not store `held_`: taking that back, it would take back a holder's. So who sees a visit from the
  // first does not, and a visitor sees its own.
  void lock() noexcept {
    if (visits_.load(std::memory_order_relaxed) == 0) [[likely]] {
      held_.store(true, std::memory_order_relaxed);
      std::atomic_signal_fence(std::memory_order_seq_cst);  // and Visit's remote fence
      if (visits_.load(std::memory_order_acquire) == 0) [[likely]]
        return;
      held_.store(false, std::memory_order_release);
    }
    lock_in_turn();
  }
  void unlock() noexcept {
    if (in_turn_) [[unlikely]]
      unlock_in_turn();
    else
      held_.store(false, std::memory_order_release);
  }

 private:
  void lock_in_turn() noexcept;
  void unlock_in_turn() noexcept;

  static std::atomic<std::uint32_t> visits_;  // under way; one more where there are no remote fences

  std::atomic<bool> held_{false};
  std::atomic<bool> turn_taken_{false};
  bool in_turn_ = false;  // how the present holder holds it
};

}  // namespace memif::capi
