// The lock of a queue, held for the length of a data call.
//
// Nearly always one thread alone uses a queue; but callbacks refill it on the control thread while its worker is at it,
// threads take over from each other, and careless programs let several loose on one queue. An atomic exchange for each
// call would wait until all that was stored before it, packets that the peer still has in its cache, has left the
// processor. So a thread that has taken the queue often in a row becomes its owner: it marks a place of its own, sees
// that it still is the owner, and has the queue. All others take turns by an atomic exchange. The first of them ends
// the ownership, and waits for the mark to go.
//
// The owner stores its mark, then loads `owner_`; who ends the ownership stores `owner_`, then loads the mark. At least
// one must see the other, for which both need a fence between the two. The latter makes the owner's as well: a remote
// fence. An owner may be stopped for any time between seeing that it is one and marking its place, so that the mark
// comes, and goes, when the queue has long been another's. That is why each owner has a place of its own.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include <memif/detail/this_thread.hpp>

namespace memif::capi {

class QueueLock {
 public:
  void lock() noexcept {
    Place* const place = owner_.load(std::memory_order_acquire);
    if (place->thread == detail::this_thread()) [[likely]] {
      place->held.store(true, std::memory_order_relaxed);
      std::atomic_signal_fence(std::memory_order_seq_cst);  // and the asymmetric fence
      if (owner_.load(std::memory_order_acquire) == place) [[likely]]
        return;
      place->held.store(false, std::memory_order_release);
    }
    lock_in_turn();
  }
  void unlock() noexcept {
    if (place_ != nullptr) [[likely]]
      place_->held.store(false, std::memory_order_release);
    else
      unlock_in_turn();
  }

 private:
  struct Place {
    const void* thread = nullptr;  // once set it stays
    std::atomic<bool> held{false};
  };

  void lock_in_turn() noexcept;
  void unlock_in_turn() noexcept;
  Place* place_of(const void* thread) noexcept;

  static constinit Place nobody_;

  std::atomic<Place*> owner_{&nobody_};
  Place* place_ = nullptr;         // whoever has the queue: the owner's place, or none if it is in turn
  std::array<Place, 3> places_{};  // where more threads than these come to own the queue, the later ones take turns
  const void* last_ = nullptr;     // the thread that had the last turn, ...
  std::uint32_t in_a_row_ = 0;     // ... and how many before that
  std::atomic<bool> turn_taken_{false};
};

}  // namespace memif::capi
