// One wait for many: queues, contexts and descriptors of the program's own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <memif/context.hpp>
#include <memif/error.hpp>
#include <memif/event_loop.hpp>
#include <memif/rx_queue.hpp>
#include <memif/tx_queue.hpp>

namespace memif {

namespace detail {
class WaitSetImpl;
}

// Waits for whichever of its members is ready first, and says which are. Links come and go without a word: a queue is
// ready again when its next link has packets.
//
// Threads: one at a time uses the set, and with it all queues in it; wake() is for any thread. A queue is in one set at
// most, and then its own wait(), arm() and disarm(), and event_fd(), are not to be used. A set in a child of fork() may
// be destroyed, which the parent does not notice, and nothing else.
//
// Lifetime: members may end while they are in the set. A queue whose interface is removed stays, and is down; a context
// that is destroyed is not ready any more. Only a descriptor of the program's must be removed before it is closed.
class WaitSet {
 public:
  // What the program calls a member: the index in an array of its own, a pointer, or what it likes.
  using Key = std::uint64_t;

  WaitSet();  // throws Exception if there are no descriptors: it takes two
  ~WaitSet();
  WaitSet(WaitSet&&) noexcept;
  WaitSet& operator=(WaitSet&&) noexcept;

  // Adds a member; for one that is in the set already, changes its key, and `wanted` or events. Ready is
  //   a receive queue: while there are packets;
  //   a transmit queue: while it has `wanted` free slots (more than the ring has: all of them). With 0 it never is,
  //   until
  //     it is added with more again;
  //   a context: while poll() has something to do, which the program is to call then. Only one with the built-in loop;
  //   a descriptor: while it is readable or writable as `events` has it (event_read | event_write), or in error.
  // A queue takes a descriptor, and a context one. Errors: no descriptors, no memory, what cannot be watched; EBUSY for
  // a queue that is in another set. add() throws them as an Exception.
  Status try_add(RxQueue& queue, Key key);
  Status try_add(TxQueue& queue, Key key, std::size_t wanted = 1);
  Status try_add(Context& context, Key key);
  Status try_add(int fd, unsigned events, Key key);
  void add(RxQueue& queue, Key key) { try_add(queue, key).value(); }
  void add(TxQueue& queue, Key key, std::size_t wanted = 1) { try_add(queue, key, wanted).value(); }
  void add(Context& context, Key key) { try_add(context, key).value(); }
  void add(int fd, unsigned events, Key key) { try_add(fd, events, key).value(); }

  // No effect for what is not in the set.
  void remove(RxQueue& queue) noexcept;
  void remove(TxQueue& queue) noexcept;
  void remove(Context& context) noexcept;
  void remove(int fd) noexcept;

  // Waits until a member is ready, somebody calls wake() of the set or of a queue in it, or `timeout` is over
  // (negative: without end). Returns the keys of those that are ready, each once, valid until the next call; none if it
  // was one of the others. A member that is ready stays so until the program sees to it.
  //
  // Waits as its queues do: with a queue in polling mode that has a link it never sleeps; else it spins for the longest
  // `spin` of its adaptive ones, for less and less where that is in vain, and sleeps. The cost is that of the members
  // that are ready or were lately, however many there are: while some of these have packets each time, it looks at all
  // others every 32nd time. For free slots it naps as TxQueue::wait() does.
  std::span<const Key> wait(std::chrono::nanoseconds timeout) noexcept;

  // Ends the present wait(), or the next. From any thread and from signal handlers, as long as the set is there.
  void wake() noexcept;

 private:
  std::unique_ptr<detail::WaitSetImpl> impl_;
};

}  // namespace memif
