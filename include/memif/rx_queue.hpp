// Receiving: a packet's way from the ring to the application.
#pragma once

#include <algorithm>
#include <span>
#include <utility>

#include <memif/queue_base.hpp>

namespace memif {

class RxBurst;

// The receiving side of one ring. Any one thread at a time uses a queue; wait() and receive() need no control thread.
// mode(), set_mode(), counters() and event_fd() are for any thread.
//
// While the link is down a queue yields nothing. It picks up a new link by itself, at its next call.
class alignas(128) RxQueue : public detail::Queue {
 public:
  // Takes up to buffers.size() buffers' worth of whole packets, in place. They go back to the peer when the burst ends;
  // with several bursts alive, when the last of them ends. A packet of more buffers than the array has is dropped.
  RxBurst receive(std::span<Buffer> buffers) noexcept;

  // Waits until receive() has something to return, the link changes, or `timeout` is over (negative: for ever). How it
  // waits is the queue's mode. True if there is something.
  bool wait(std::chrono::nanoseconds timeout) noexcept;

  // For the user's own loop around event_fd(). arm() asks the peer for an interrupt and returns true if it is then safe
  // to sleep; false if packets are waiting, and nothing was armed. Call disarm() when the descriptor became readable.
  bool arm() noexcept;
  void disarm() noexcept;

  // The eventfd that the peer signals, of the present link; -1 while there is none. Stays memifpp's.
  int event_fd() const noexcept;

  // Takes effect at the queue's next call, also in a wait() that is going on.
  void set_mode(RxMode mode) noexcept;
  RxMode mode() const noexcept { return mode_.load(std::memory_order_relaxed); }

  const RxCounters& counters() const noexcept { return counters_; }

  // --- The same in parts, for language bindings and for applications that keep buffers over several calls. ---

  // Whether a packet of more buffers than asked for is dropped, or handed out in pieces over several calls.
  enum class LongPackets { drop, split };

  struct Taken {
    std::size_t buffers = 0;
    std::size_t packets = 0;
  };

  // Takes up to `max` buffers and calls sink(i, data, length, capacity, slot, more) for each, i from 0. The buffers
  // stay the caller's until release(). A sink may be called again for the same i with other values: the last call
  // holds.
  template <class Sink>
  Taken take(std::size_t max, Sink&& sink, LongPackets policy = LongPackets::drop) noexcept;

  // Gives the oldest `count` buffers back; more than are held means all. Returns how many. `headroom`: bytes that the
  // peer is to leave free in front of the next packet in each of these buffers (client only).
  std::size_t release(std::size_t count, std::uint32_t headroom) noexcept;
  std::size_t release(std::size_t count) noexcept { return release(count, headroom_); }

  // Buffers taken and not released. With InterfaceConfig::post_buffers off, at first also those never posted.
  std::size_t held() const noexcept { return static_cast<std::uint16_t>(next_ - released_); }

  // True if take() would find something, as of the peer's present index.
  bool pending() noexcept;

  // Makes event_fd() readable as the peer would, for a loop that has to come back, and asks the peer not to.
  void remind() noexcept;

  // Whether the slot's buffer was taken and not released.
  bool holds(std::uint16_t slot) const noexcept { return ring_.slot(static_cast<std::uint16_t>(slot - released_)) < held(); }

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

  RxQueue(detail::Port& port, std::uint16_t index, const InterfaceConfig& config) noexcept;

  void refresh() noexcept;
  bool look() noexcept;
  void sleep(std::chrono::nanoseconds timeout) noexcept;
  void finish(std::uint32_t epoch) noexcept;
  void publish() noexcept { ring_.publish(static_cast<std::uint16_t>(released_ + publish_offset_)); }
  bool plausible(std::uint16_t index) const noexcept;
  bool look_further(std::uint16_t first) noexcept;
  void drop(std::uint16_t first, std::size_t count) noexcept;
  bool take_drop_mark(std::uint16_t index) noexcept;
  void post(std::uint16_t index, std::uint32_t headroom) noexcept;
  std::uint32_t buffer_start(std::uint32_t offset) const noexcept;
  std::uint32_t room(std::uint16_t index) const noexcept;

  struct Burst;  // the state of one take()
  template <class Sink>
  void take_from_client(Burst& burst, Sink& sink) noexcept;
  template <class Sink>
  void take_from_server(Burst& burst, Sink& sink) noexcept;
  template <class Sink>
  bool take_packet(Burst& burst, Sink& sink) noexcept;
  std::byte* resolve(const RawDescriptor& descriptor, std::uint16_t index) noexcept;

  std::uint16_t released_ = 0;        // slots before this one were given back
  std::uint16_t publish_offset_ = 0;  // client: the ring size, since a posted slot is one that was given back earlier
  std::uint16_t live_bursts_ = 0;
  std::uint32_t headroom_;
  std::uint32_t shortest_room_ = 0;   // client: no posted buffer has less
  std::uint64_t posted_word0_ = 0;    // client: what a freshly posted descriptor says
  std::uint64_t* dropped_ = nullptr;  // one bit a slot: taken, but never handed out
  std::size_t dropped_count_ = 0;
  bool unfinished_ = false;  // the slots before limit_ are a packet whose end is not published
  std::atomic<RxMode> mode_;
  std::chrono::nanoseconds spin_;
  RxCounters counters_;
};

// Packets taken from a queue. Ends when destroyed or release()d: the buffers go back to the peer.
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

  bool empty() const noexcept { return packets_ == 0; }
  std::size_t size() const noexcept { return packets_; }  // packets
  std::span<Buffer> buffers() const noexcept { return buffers_; }
  PacketIterator begin() const noexcept { return PacketIterator(buffers_.data()); }
  PacketIterator end() const noexcept { return PacketIterator(buffers_.data() + buffers_.size()); }

 private:
  friend class RxQueue;
  friend class TxQueue;
  RxBurst(RxQueue* queue, std::span<Buffer> buffers, std::size_t packets, std::uint32_t epoch) noexcept
      : queue_(queue), buffers_(buffers), packets_(packets), epoch_(epoch) {}

  RxQueue* queue_ = nullptr;
  std::span<Buffer> buffers_;
  std::size_t packets_ = 0;
  std::uint32_t epoch_ = 0;
};

// ---------------------------------------------------------------------------------------------------------------------

struct RxQueue::Burst {
  std::size_t max;
  LongPackets policy;
  std::size_t buffers = 0;
  std::size_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint16_t next;  // the slot to look at; next_ in the end
};

inline RxBurst RxQueue::receive(std::span<Buffer> buffers) noexcept {
  const Taken taken = take(buffers.size(), [&](std::size_t i, std::byte* data, std::uint32_t length,
                                               std::uint32_t capacity, std::uint16_t slot, bool more) {
    Buffer& buffer = buffers[i];
    buffer.data_ = data;
    buffer.length_ = length;
    buffer.capacity_ = capacity;
    buffer.slot_ = slot;
    buffer.more_ = more;
  });
  if (taken.buffers == 0) return {};
  ++live_bursts_;
  return {this, buffers.first(taken.buffers), taken.packets, epoch_};
}

// The last burst to end gives back all that was taken. One of a former link has nothing to give back.
inline void RxQueue::finish(std::uint32_t epoch) noexcept {
  if (epoch != epoch_ || --live_bursts_ != 0) return;
  if (dropped_count_ != 0 || headroom_ != 0) [[unlikely]] {
    release(ring_.size());
    return;
  }
  released_ = next_;
  publish();
}

template <class Sink>
RxQueue::Taken RxQueue::take(std::size_t max, Sink&& sink, LongPackets policy) noexcept {
  if (attention()) [[unlikely]]
    refresh();
  if (next_ == limit_ && !look()) return {};

  Burst burst{.max = max, .policy = policy, .next = next_};
  if (client_)
    take_from_server(burst, sink);
  else
    take_from_client(burst, sink);
  next_ = burst.next;

  if (burst.buffers != 0) {
    counters_.packets.add(burst.packets);
    counters_.bytes.add(burst.bytes);
    counters_.bursts.add(1);
  }
  return {burst.buffers, burst.packets};
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

// As a server: the client's descriptors say where its packets are. The loop is for what nearly all packets are: one
// buffer, in the same region as the last. Region and flags are compared at once, then the bounds; all else is
// take_packet()'s.
template <class Sink>
void RxQueue::take_from_client(Burst& burst, Sink& sink) noexcept {
  do {
    const std::uint16_t first = burst.next;
    const std::size_t run =
        std::min<std::size_t>(burst.max - burst.buffers, static_cast<std::uint16_t>(limit_ - first));
    const std::size_t before = burst.buffers;
    std::uint64_t bytes = 0;
    std::size_t i = 0;
    for (; i < run; ++i) {
      const auto index = static_cast<std::uint16_t>(first + i);
      const RawDescriptor descriptor = ring_.load(index);
      const std::uint32_t length = descriptor.length();
      const std::uint64_t offset = descriptor.offset();
      if (descriptor.tag() != tag_ || (checked && (length == 0 || offset + length > view_.size))) [[unlikely]]
        break;
      sink(before + i, view_.base + offset, length, length, ring_.slot(index), false);
      bytes += length;
    }
    burst.next = static_cast<std::uint16_t>(first + i);
    burst.buffers += i;
    burst.packets += i;
    burst.bytes += bytes;
    if (i == run) return;
  } while (take_packet(burst, sink));
}

// As a client: the packets are where this side posted buffers; of the descriptor only length and NEXT are the server's
// to say. The slot is this side's own until it is posted again, so what the server changed is put right at once.
template <class Sink>
void RxQueue::take_from_server(Burst& burst, Sink& sink) noexcept {
  do {
    const std::uint16_t first = burst.next;
    const std::size_t run =
        std::min<std::size_t>(burst.max - burst.buffers, static_cast<std::uint16_t>(limit_ - first));
    const std::size_t before = burst.buffers;
    std::uint64_t bytes = 0;
    std::size_t i = 0;
    for (; i < run; ++i) {
      const auto index = static_cast<std::uint16_t>(first + i);
      const RawDescriptor descriptor = ring_.load_word0(index);
      const std::uint32_t length = descriptor.length();
      // A length of 0 wraps round to more than any buffer has.
      if (descriptor.more() || (checked && length - 1 >= shortest_room_)) [[unlikely]]
        break;
      const std::uint16_t slot = ring_.slot(index);
      sink(before + i, base_ + offsets_[slot], length, shortest_room_, slot, false);
      if (descriptor.word0 != posted_word0_) ring_.store_word0(index, posted_word0_);
      bytes += length;
    }
    burst.next = static_cast<std::uint16_t>(first + i);
    burst.buffers += i;
    burst.packets += i;
    burst.bytes += bytes;
    if (i == run) return;
  } while (take_packet(burst, sink));
}

// For a packet at `first` whose end was not published when we last looked. A ring full of one unfinished packet will
// never hold its end.
inline bool RxQueue::look_further(std::uint16_t first) noexcept {
  if (first == released_ && static_cast<std::uint16_t>(limit_ - first) == ring_.size()) {
    broken("a chain of descriptors without end");
    return false;
  }
  const std::uint16_t before = limit_;
  look();
  unfinished_ = limit_ == before;
  return !unfinished_;
}

// One packet with every case: chains, another region, descriptors that lie. True if it was taken or dropped, and the
// next may be looked at; false if the burst ends here.
template <class Sink>
bool RxQueue::take_packet(Burst& burst, Sink& sink) noexcept {
  std::uint16_t at = burst.next;
  std::size_t parts = 0;
  std::uint64_t bytes = 0;
  bool good = true;
  unfinished_ = false;
  const std::size_t space = burst.max - burst.buffers;
  for (bool more = true; more;) {
    if (at == limit_ && !look_further(burst.next)) return false;
    const RawDescriptor descriptor = ring_.load(at);
    more = descriptor.more();
    if (std::byte* data = resolve(descriptor, at); data == nullptr) {
      good = false;
    } else if (parts < space) {
      sink(burst.buffers + parts, data, descriptor.length(), client_ ? room(at) : descriptor.length(), ring_.slot(at),
           more);
      bytes += descriptor.length();
    } else if (burst.policy == LongPackets::split && burst.buffers == 0) {
      break;  // as much of it as fits; the rest is the next call's
    }
    ++parts;
    ++at;
  }
  if (good && parts > space) {
    if (burst.buffers != 0) return false;  // it will have the whole array next time
    good = false;
    counters_.dropped_long.add(1);
  } else if (!good) {
    counters_.dropped_descriptor.add(1);
  }
  if (client_)
    for (std::uint16_t i = burst.next; i != at; ++i) ring_.store_word0(i, posted_word0_);
  if (good) {
    burst.buffers += parts;
    burst.packets += 1;
    burst.bytes += bytes;
  } else {
    drop(burst.next, parts);
  }
  burst.next = at;
  return true;
}

}  // namespace memif
