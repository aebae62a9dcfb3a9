// What receive and transmit queues have in common: the hold on a link, and how it changes hands.
//
// A link (one per connection) owns the mappings; each queue keeps its own reference to the link that it works on. When
// the control thread replaces the link it clears the queue's `user_`, a word in process-local memory that each burst
// loads once. The queue then lets go of the old link, adopts the new one, or goes on with none. So memory is
// never unmapped under a running burst, and nobody waits for a thread that does not come back. docs/architecture.md,
// "Links".
//
// The word names the thread that uses the queue, so a thread that takes over from another looks as well: it has to be
// ready for memory that vanishes (src/memory/sigbus.hpp).
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <memif/config.hpp>
#include <memif/detail/bell.hpp>
#include <memif/detail/ring.hpp>
#include <memif/detail/this_thread.hpp>
#include <memif/packet.hpp>
#include <memif/stats.hpp>

namespace memif::detail {

// The burst loops: calls step(0), step(1) and so on, up to `count` of them or to the first that returns false. Returns
// how many returned true. Four a turn with addresses that differ by constants: compilers that unroll a loop with an
// exit count every address on, for each packet. What counts the turns serves the result only at an exit, and `i` is not
// used beyond them: each would be a register more to count on in each turn.
template <class Step>
[[gnu::always_inline]] inline std::size_t run_of(std::size_t count, Step step) noexcept {
  std::size_t i = 0;
  for (std::size_t turns = count / 4; turns != 0; --turns, i += 4) {
    const auto done = [&] { return (count / 4 - turns) * 4; };
    if (!step(i)) [[unlikely]]
      return done();
    if (!step(i + 1)) [[unlikely]]
      return done() + 1;
    if (!step(i + 2)) [[unlikely]]
      return done() + 2;
    if (!step(i + 3)) [[unlikely]]
      return done() + 3;
  }
  std::size_t left = count % 4;
  while (left != 0 && step(count - left)) --left;
  return count - left;
}

// Fetches a line that is about to be written, and the right to write it: a program that writes each packet and its
// length in one loop has one such line under way at a time on some processors, since a store that misses keeps those
// behind it waiting. By name: for __builtin_prefetch() compilers take a fetch for reading where the oldest processors
// of the architecture have no other, and such a line is fetched twice.
[[gnu::always_inline]] inline void prefetch_to_write(const std::byte* at) noexcept {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*at));
#else
  __builtin_prefetch(at, 1);
#endif
}

class Queues;
class WaitSetImpl;
class InterfaceWaits;
class Watch;
struct Link;
struct LinkRing;

// Where a region is mapped. Made once, when the link is built; the peer cannot change it.
struct RegionView {
  std::byte* base = nullptr;
  std::uint64_t size = 0;

  RegionView() = default;
  RegionView(std::byte* at, std::uint64_t bytes) noexcept : base(at), size(bytes) {}
};

class MEMIF_VARIANT Queue {
 public:
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // Whether the queue has a link to work on, as of its last call.
  bool up() const noexcept { return link_ != nullptr; }

  // Counts the links that the queue has had: what was handed out of one is no more, once another has been taken.
  std::uint32_t epoch() const noexcept { return epoch_; }

  // As RxQueue and TxQueue have it. Any thread, signal handlers.
  void wake() noexcept;

  // For programs that learn by a later call that a link has gone, and have its buffers until then: when the queue takes
  // another link, the one before stays mapped until it is dropped. Of several, the first.
  void keep_former_link() noexcept { keeps_former_ = true; }
  bool has_former_link() const noexcept { return former_ != nullptr; }
  void drop_former_link() noexcept;

 protected:
  friend class Queues;
  friend class WaitSetImpl;
  friend class Watch;
  friend class InterfaceWaits;

  Queue(Queues& owner, std::uint16_t index) noexcept;
  ~Queue();

  // True once after each change of link, mode or thread. The load pairs with the release in Queues::raise_locked().
  bool link_changed() const noexcept { return !is_this_thread(user_.load(std::memory_order_acquire)); }

  // Makes this thread the queue's. True if link or mode have changed; false if only the thread has.
  bool take_over() noexcept;

  // The peer did what no correct peer does: the link goes down with that reason, the queue at once.
  void broken(const char* what) noexcept;

  // Lets go of the present link for the owner's, if that is another one. True if it was.
  bool adopt_link() noexcept;
  // Points the queue at its ring of the link that it has, or at none.
  void attach(LinkRing* ring) noexcept;

  // Before a sleep of this queue's thread. False: there is a change to look at instead, or somebody called wake(). From
  // then on both ring the bell.
  bool may_sleep() noexcept;
  // Whether somebody called wake(), once.
  bool take_wake() noexcept {
    return woken_.load(std::memory_order_relaxed) && woken_.exchange(false, std::memory_order_relaxed);
  }
  // Sleeps until `fd` (-1: none) is readable, the bell rings, or for `timeout` (negative: without end). True: `fd` is.
  bool sleep_on(int fd, std::chrono::nanoseconds timeout) noexcept;

  // The pool of the present link, if that is a client's and has one.
  std::shared_ptr<Pool> pool() const noexcept;

  bool shares_buffers_with(const Queue& other) const noexcept {
    return buffers_of_ != nullptr && buffers_of_ == other.buffers_of_;
  }

  // A region of the present link, or nothing.
  const RegionView* region(std::uint16_t index) const noexcept {
    return index < region_count_ ? &regions_[index] : nullptr;
  }

  std::atomic<const void*> user_{nullptr};  // the thread that used the queue last; none: look at the link
  bool client_ = false;  // this side allocated the memory: its own tables are believed, not the descriptors
  std::uint16_t index_;
  std::uint16_t next_ = 0;   // the next slot to take
  std::uint16_t limit_ = 0;  // slots before this one may be taken: the private copy of what the peer published
  Ring ring_;

  // Client: where each slot's buffer starts in the buffer region, bytes; so a server that rewrites descriptors
  // misleads nobody. Buffers are `buffer_size_` long.
  std::uint32_t* offsets_ = nullptr;
  std::byte* base_ = nullptr;
  const void* buffers_of_ = nullptr;  // whose buffers may lie in this queue's slots: none but those with the same name
  std::uint32_t buffer_size_ = 0;

  // Server: the region that the last descriptor named, as its tag and as a view, and the table of all.
  std::uint32_t tag_ = ~0u;
  RegionView view_;
  const RegionView* regions_ = nullptr;
  std::uint32_t region_count_ = 0;

  std::uint32_t epoch_ = 0;
  int event_fd_ = -1;
  std::shared_ptr<Link> link_, former_;
  bool keeps_former_ = false;
  Bell bell_;
  std::atomic<bool> woken_{false};
  const void* set_ = nullptr;  // the wait set that it is in
  Queues& owner_;
};

}  // namespace memif::detail
