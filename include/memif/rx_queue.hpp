// Receiving: a packet's way from the ring to the application.
#pragma once

#include <algorithm>
#include <span>
#include <utility>

#include <memif/detail/queue.hpp>

namespace memif {

class RxBurst;

// The receiving side of one ring. Any one thread at a time uses a queue; wait() and receive() need no control thread.
// mode(), set_mode(), counters() and event_fd() are for any thread.
//
// While the link is down a queue yields nothing. It picks up a new link by itself, at its next call.
class alignas(128) RxQueue : public detail::Queue {
 public:
  // Takes up to buffers.size() buffers' worth of whole packets, in place. They go back to the peer when the burst ends;
  // with several bursts alive, when the last of them ends. A packet of more buffers than the array has is dropped, and
  // so is one of more bytes than InterfaceConfig::max_packet.
  RxBurst receive(std::span<Buffer> buffers) noexcept;

  // Waits until receive() has something to return, the link changes, or `timeout` is over (negative: for ever). How it
  // waits is the queue's mode. True if there is something.
  bool wait(std::chrono::nanoseconds timeout) noexcept;

  // For the user's own loop around event_fd(). arm() asks the peer for an interrupt and returns true if it is then safe
  // to sleep; false if packets are waiting, and nothing was armed. Call disarm() when the descriptor became readable.
  bool arm() noexcept;
  void disarm() noexcept;

  // The eventfd that the peer signals, of the present link; -1 while there is none. Stays memifpp's. It is readable for
  // packets and after remind(), not when the link ends: that is what on_disconnected is for.
  int event_fd() const noexcept;

  // Takes effect at the queue's next call, also in a wait() that is going on.
  void set_mode(RxMode mode) noexcept;
  RxMode mode() const noexcept { return mode_.load(std::memory_order_relaxed); }

  const RxCounters& counters() const noexcept { return counters_; }

  // --- The same in parts, for language bindings and for applications that keep buffers over several calls. ---

  // Whether a packet of more buffers than asked for is dropped, or handed out in pieces over several calls. If after
  // the first of these it proves to be none to be handed out, the link goes down.
  enum class LongPackets { drop, split };

  struct Taken {
    std::size_t buffers = 0;
    std::size_t packets = 0;
  };

  // Takes up to `max` buffers and calls sink(i, data, extent, capacity, slot) for each, i from 0. The buffers
  // stay the caller's until release(). A sink may be called again for the same i with other values: the last call
  // holds.
  template <class Sink>
  Taken take(std::size_t max, Sink sink, LongPackets policy = LongPackets::drop) noexcept;

  // Gives the oldest `count` buffers back; more than are held means all. Returns how many. `headroom`: bytes that the
  // peer is to leave free in front of the next packet in each of these buffers (client only).
  std::size_t release(std::size_t count, std::uint32_t headroom) noexcept;
  std::size_t release(std::size_t count) noexcept { return release(count, headroom_); }

  // Buffers taken and not released. With InterfaceConfig::post_buffers off, at first also those never posted.
  std::size_t held() const noexcept { return static_cast<std::uint16_t>(next_ - released_); }

  // True if take() would find something, as of the peer's present index.
  bool pending() noexcept {
    if (attention()) [[unlikely]]
      refresh();
    return (next_ != limit_ && !unfinished_) || more_published();
  }

  // Takes the present link, if that has changed; whether there is one.
  bool renew() noexcept {
    if (attention()) [[unlikely]]
      refresh();
    return up();
  }

  // Makes event_fd() readable as the peer would, for a loop that has to come back, and asks the peer not to.
  void remind() noexcept;

  // Whether the slot's buffer was taken and not released.
  bool holds(std::uint16_t slot) const noexcept {
    return ring_.slot(static_cast<std::uint16_t>(slot - released_)) < held();
  }

  // Client: two buffers that are held change places. False if the queues do not share a link, or one is not held.
  bool exchange(std::uint16_t slot, RxQueue& other, std::uint16_t other_slot) noexcept;

  // Client, MemoryHooks::placed: the buffer to be released after `ahead` others is the one at `offset` of the buffer
  // region. False if it would not lie in the region, or so many are not held.
  bool place(std::size_t ahead, std::uint32_t offset) noexcept;

  std::uint32_t epoch() const noexcept { return epoch_; }

 private:
  friend class RxBurst;
  friend class TxQueue;
  friend class detail::Port;

  RxQueue(detail::Port& port, std::uint16_t index, const InterfaceConfig& config, RxCounters* published) noexcept;

  void refresh() noexcept;
  bool look() noexcept;
  void sleep(std::chrono::nanoseconds timeout) noexcept;
  void mask_interrupts() noexcept;
  void found_awake() noexcept;
  void count_interrupt() noexcept;
  void adapt(std::chrono::nanoseconds waited, bool found) noexcept;
  void finish(std::uint32_t epoch) noexcept;
  void publish() noexcept { ring_.publish(static_cast<std::uint16_t>(released_ + publish_offset_)); }
  bool plausible(std::uint16_t index) const noexcept;
  bool look_further(std::uint16_t first) noexcept;
  // Why a packet is dropped, as the probe rx_drop has it.
  enum class Drop : int { descriptor, many_buffers, oversize };
  void count_drop(Drop why, std::size_t buffers) noexcept;
  void drop(std::uint16_t first, std::size_t count) noexcept;
  bool take_drop_mark(std::uint16_t index) noexcept;
  bool more_published() noexcept;
  void change_headroom(std::uint32_t headroom) noexcept;
  // None while a packet is handed out in pieces: no run is to take the last of them for a packet.
  void limit_singles() noexcept {
    const std::uint64_t space = client_ ? shortest_room_ : view_.size;
    single_limit_ = pieces_ != 0 ? 0 : std::min<std::uint64_t>(space, max_packet_);
  }
  bool singly() const noexcept { return dropped_count_ != 0 || reposts(); }
  std::size_t give_back_singly(std::size_t count) noexcept;
  void post(std::uint16_t index) noexcept;
  // Client: some buffer is or was posted with headroom, so every descriptor is written anew when it goes back.
  bool reposts() const noexcept { return shortest_room_ != buffer_size_; }
  std::uint32_t buffer_start(std::uint32_t offset) const noexcept;
  std::uint32_t room(std::uint16_t index) const noexcept;

  inline void count_burst(std::size_t packets, std::uint64_t bytes) noexcept;

  struct Burst;  // the state of one take() that is no single run
  struct Run {   // of packets of one buffer each, in slots one after the other
    std::size_t buffers = 0;
    std::uint64_t bytes = 0;
  };
  template <class Sink>
  [[gnu::always_inline]] inline Run take_run(std::uint16_t first, std::size_t count, std::size_t at,
                                             Sink sink) noexcept;
  template <class Sink>
  [[gnu::noinline]] Run run_from_client(std::uint16_t first, std::size_t count, std::size_t at, Sink sink) noexcept;
  template <class Sink>
  [[gnu::noinline]] Run run_from_server(std::uint16_t first, std::size_t count, std::size_t at, Sink sink) noexcept;
  template <class Sink>
  [[gnu::noinline]] Taken take_rest(Run run, std::size_t max, Sink sink, LongPackets policy) noexcept;
  template <class Sink>
  [[gnu::noinline]] Burst take_packet(Burst burst, Sink sink) noexcept;
  std::byte* resolve(const RawDescriptor& descriptor, std::uint16_t index) noexcept;

  std::uint16_t released_ = 0;        // slots before this one were given back
  std::uint16_t publish_offset_ = 0;  // client: the ring size, since a posted slot is one that was given back earlier
  std::uint16_t live_bursts_ = 0;
  const std::uint32_t max_packet_;
  std::uint32_t pieces_ = 0;        // bytes handed out of a packet that goes on
  std::uint64_t single_limit_ = 0;  // of a packet that a run may take: max_packet_, as a client room, as a server view_
  std::uint32_t headroom_;
  std::uint32_t shortest_room_ = 0;   // client: no posted buffer has less
  std::uint64_t posted_word0_ = 0;    // client: what a freshly posted descriptor says
  std::uint64_t* dropped_ = nullptr;  // one bit a slot: taken, but never handed out
  std::size_t dropped_count_ = 0;
  bool asleep_ = false;                // in wait(), on event_fd_; guarded by the port's mutex
  bool armed_ = false;                 // since the link or the mode changed
  std::uint32_t waits_awake_ = 0;      // in a row
  bool unfinished_ = false;            // the slots before limit_ are a packet whose end is not published
  std::uint16_t interrupted_at_ = 0;   // limit_ at the last interrupt
  std::uint32_t idle_interrupts_ = 0;  // in a row, without a packet in between
  std::atomic<RxMode> mode_;
  std::chrono::nanoseconds spin_;      // adaptive: for how long at most, ...
  std::chrono::nanoseconds spin_now_;  // ... and in the next wait
  RxCounters own_counters_;
  RxCounters& counters_;  // its own, or where observers see them
};

// Packets taken from a queue. Ends when destroyed or release()d: the buffers go back to the peer. When its queue has
// taken another link, by whatever call, a burst has no packets.
class RxBurst {
 public:
  RxBurst() noexcept = default;
  RxBurst(RxBurst&& other) noexcept
      : queue_(std::exchange(other.queue_, nullptr)),
        buffers_(std::exchange(other.buffers_, {})),
        packets_(std::exchange(other.packets_, 0)),
        epoch_(other.epoch_) {}
  RxBurst& operator=(RxBurst&& other) noexcept {
    if (this != &other) {
      release();
      queue_ = std::exchange(other.queue_, nullptr);
      buffers_ = std::exchange(other.buffers_, {});
      packets_ = std::exchange(other.packets_, 0);
      epoch_ = other.epoch_;
    }
    return *this;
  }
  ~RxBurst() { release(); }

  void release() noexcept {
    if (queue_ != nullptr) std::exchange(queue_, nullptr)->finish(epoch_);
    buffers_ = {};
    packets_ = 0;
  }

  bool empty() const noexcept { return size() == 0; }
  std::size_t size() const noexcept { return current() ? packets_ : 0; }  // packets
  std::span<Buffer> buffers() const noexcept { return current() ? buffers_ : std::span<Buffer>(); }
  PacketIterator begin() const noexcept { return PacketIterator(buffers().data()); }
  PacketIterator end() const noexcept { return PacketIterator(buffers().data() + buffers().size()); }

 private:
  bool current() const noexcept { return queue_ != nullptr && epoch_ == queue_->epoch(); }

  friend class RxQueue;
  friend class TxQueue;
  RxBurst(RxQueue* queue, std::span<Buffer> buffers, std::size_t packets, std::uint32_t epoch) noexcept
      : queue_(queue), buffers_(buffers), packets_(packets), epoch_(epoch) {}

  // The first packets are no longer the caller's to see. Their buffers go back with the others.
  void take_out(std::size_t packets) noexcept {
    std::size_t buffers = 0;
    packets_ -= packets;
    while (packets != 0) packets -= buffers_[buffers++].more() ? 0 : 1;
    buffers_ = buffers_.subspan(buffers);
  }

  RxQueue* queue_ = nullptr;
  std::span<Buffer> buffers_;
  std::size_t packets_ = 0;
  std::uint32_t epoch_ = 0;
};

// ---------------------------------------------------------------------------------------------------------------------

inline RxBurst RxQueue::receive(std::span<Buffer> buffers) noexcept {
  Buffer* const to = buffers.data();
  const Taken taken = take(buffers.size(), [to](std::size_t i, std::byte* data, Extent extent, std::uint32_t,
                                                std::size_t slot) { to[i] = Buffer::received(data, extent, slot); });
  if (taken.buffers == 0) return {};
  ++live_bursts_;
  return {this, buffers.first(taken.buffers), taken.packets, epoch_};
}

inline std::size_t RxQueue::release(std::size_t count, std::uint32_t headroom) noexcept {
  if (attention()) [[unlikely]]
    refresh();
  if (!up()) [[unlikely]]
    return 0;
  if (headroom != headroom_) [[unlikely]]
    change_headroom(headroom);
  if (singly()) [[unlikely]]
    return give_back_singly(count);
  count = std::min(count, held());
  if (count == 0) return 0;  // and the index's line stays with the peer
  released_ = static_cast<std::uint16_t>(released_ + count);
  publish();
  return count;
}

// The last burst to end gives back all that was taken. One of a former link has nothing to give back.
inline void RxQueue::finish(std::uint32_t epoch) noexcept {
  if (epoch != epoch_ || --live_bursts_ != 0) return;
  if (singly()) [[unlikely]] {
    give_back_singly(ring_.size());
    return;
  }
  released_ = next_;
  publish();
}

template <class Sink>
RxQueue::Taken RxQueue::take(std::size_t max, Sink sink, LongPackets policy) noexcept {
  if (attention()) [[unlikely]]
    refresh();
  if (next_ == limit_ && !look()) return {};

  const std::size_t wanted = std::min<std::size_t>(max, static_cast<std::uint16_t>(limit_ - next_));
  const Run run = take_run(next_, wanted, 0, sink);
  if (run.buffers != wanted) [[unlikely]]
    return take_rest(run, max, sink, policy);
  next_ = static_cast<std::uint16_t>(next_ + wanted);
  if (wanted != 0) count_burst(wanted, run.bytes);
  return {wanted, wanted};
}

inline void RxQueue::count_burst(std::size_t packets, std::uint64_t bytes) noexcept {
  RxCounters& counters = counters_;
  counters.packets.add(packets);
  counters.bytes.add(bytes);
  counters.bursts.add(1);
  MEMIF_PROBE(rx_burst, &port_, index_, packets, bytes);
}

// Whether a correct peer's index can be there: not behind what it published before, and not further from what was given
// back than the ring is long.
inline bool RxQueue::plausible(std::uint16_t index) const noexcept {
  const auto published = static_cast<std::uint16_t>(index - released_);
  return published <= ring_.size() && published >= static_cast<std::uint16_t>(limit_ - released_);
}

// Refreshes the private copy of the peer's index; true if there is something beyond what was taken.
inline bool RxQueue::look() noexcept {
  const std::uint16_t index = ring_.load_peer_index();
  if (checked && !plausible(index)) [[unlikely]] {
    broken("the peer's ring index is out of range");
    return false;
  }
  limit_ = index;
  return index != next_;
}

// Packets of one buffer each, in slots one after the other; nearly always, that is all there are.
template <class Sink>
RxQueue::Run RxQueue::take_run(std::uint16_t first, std::size_t count, std::size_t at, Sink sink) noexcept {
  const std::size_t run = std::min(count, std::size_t{ring_.until_end(first)});
  return client_ ? run_from_server(first, run, at, sink) : run_from_client(first, run, at, sink);
}

}  // namespace memif

#include <memif/detail/rx_queue_rest.hpp>
#include <memif/detail/rx_queue_run.hpp>
