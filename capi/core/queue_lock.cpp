#include "queue_lock.hpp"

#include <sched.h>
#include <time.h>

#include <memif/detail/asymmetric_fence.hpp>

namespace memif::capi {
namespace {

// An asymmetric fence costs as much as some hundred turns.
constexpr std::uint32_t often = 256;

// The thread that is waited for may be one of lower priority on the same processor: to yield is not enough forever.
template <class Condition>
void spin_until(Condition condition) noexcept {
  constexpr int spins = 64, yields = 128;
  constexpr timespec moment{.tv_sec = 0, .tv_nsec = 50'000};
  for (int tries = 0; !condition(); ++tries) {
    if (tries < spins) continue;
    if (tries < yields)
      ::sched_yield();
    else
      ::nanosleep(&moment, nullptr);
  }
}

}  // namespace

constinit QueueLock::Place QueueLock::nobody_;

void QueueLock::lock_in_turn() noexcept {
  spin_until([this] { return !turn_taken_.exchange(true, std::memory_order_acquire); });
  if (Place* const former = owner_.load(std::memory_order_relaxed); former != &nobody_) {
    owner_.store(&nobody_, std::memory_order_seq_cst);
    detail::asymmetric_fence();
    spin_until([former] { return !former->held.load(std::memory_order_acquire); });
    place_ = nullptr;
  }
  const void* const self = detail::this_thread();
  in_a_row_ = self == last_ ? in_a_row_ + 1 : 0;
  last_ = self;
}

void QueueLock::unlock_in_turn() noexcept {
  if (in_a_row_ >= often && detail::have_asymmetric_fence()) {
    in_a_row_ = 0;
    if (Place* const place = place_of(last_)) {
      place_ = place;
      owner_.store(place, std::memory_order_release);
    }
  }
  turn_taken_.store(false, std::memory_order_release);
}

// Its own from an earlier time, or a free one.
QueueLock::Place* QueueLock::place_of(const void* thread) noexcept {
  for (Place& place : places_) {
    if (place.thread == nullptr) place.thread = thread;
    if (place.thread == thread) return &place;
  }
  return nullptr;
}

}  // namespace memif::capi
