// Receiving: a packet's way from the ring to the application. Chains are in rx_chains.hpp, waiting in src/data/.
#pragma once

#include <algorithm>
#include <span>
#include <utility>

#include <memif/detail/probes.hpp>
#include <memif/detail/queue.hpp>
#include <memif/fd.hpp>

namespace memif {

// A receive queue in parts: memif/raw.hpp says for whom.
class MEMIF_VARIANT alignas(128) RawRx : public detail::Queue {
 public:
  // Whether a packet of more buffers than asked for is dropped, or handed out in pieces over several calls. If after
  // the first of these it proves to be none to be handed out, the link goes down.
  enum class LongPackets { drop, split };

  struct Taken {
    std::size_t buffers = 0;
    std::size_t packets = 0;
  };

  // Takes up to `max` buffers and calls sink(i, data, word, capacity, slot) for each, i from 0: `data` is a std::byte*
  // into shared memory, `word` a DescriptorWord with length and NEXT, `capacity` the bytes that the buffer has from
  // there (std::uint32_t), `slot` its slot in the ring (std::size_t). The buffers stay the caller's until release(). A
  // sink may be called again for the same i with other values: the last call holds. It must not throw.
  template <class Sink>
  Taken take(std::size_t max, Sink sink, LongPackets policy = LongPackets::drop) noexcept;

  // Gives the oldest `count` buffers back; more than are held means all. Returns how many. `headroom`: bytes that the
  // peer is to leave free in front of the next packet in each of these buffers (client only).
  std::size_t release(std::size_t count, std::uint32_t headroom) noexcept;
  std::size_t release(std::size_t count) noexcept { return release(count, headroom_); }

  // Buffers taken and not released. With InterfaceConfig::post_buffers off, at first also those never posted.
  std::size_t held() const noexcept { return static_cast<std::uint16_t>(next_ - released_); }

  // Whether the slot's buffer was taken and not released.
  bool holds(std::uint16_t slot) const noexcept {
    return ring_.slot(static_cast<std::uint16_t>(slot - released_)) < held();
  }

  // True if take() would find something, as of the peer's present index.
  bool pending() noexcept {
    if (link_changed()) [[unlikely]]
      refresh();
    return pending_here();
  }

  // Takes the present link, if that has changed; whether there is one.
  bool renew() noexcept {
    if (link_changed()) [[unlikely]]
      refresh();
    return up();
  }

  // Client: two buffers that are held change places. False if the queues do not share their buffers, or one is not
  // held.
  bool exchange(std::uint16_t slot, RawRx& other, std::uint16_t other_slot) noexcept;

  // Client, MemoryHooks::placed: the buffer to be released after `ahead` others is the one at `offset` of the buffer
  // region. False if it would not lie in the region, or so many are not held.
  bool place(std::size_t ahead, std::uint32_t offset) noexcept;

  // Client: whether the slot is held, and its buffer's packet begins there.
  bool has(std::uint16_t slot, const std::byte* data) const noexcept {
    return client_ && slot < ring_.size() && holds(slot) && base_ + offsets_[slot] == data;
  }

  // Client of a pool: the buffer that begins at `offset` takes the place of that of a held slot, whose beginning
  // `offset` is then. False if the slot is not held.
  bool trade(std::uint16_t slot, std::uint32_t& offset) noexcept;

  // As RxQueue has them.
  bool wait(std::chrono::nanoseconds timeout) noexcept;
  bool arm() noexcept {
    if (link_changed()) refresh();
    return arm_here();
  }
  void disarm() noexcept {
    if (bell_.rang()) {  // before the look at what it tells
      bell_.hear();
      take_wake();
    }
    if (link_changed()) refresh();
    disarm_here();
  }
  // The eventfd of the present link's ring, which the peer signals; -1 while there is none. It stays memifpp's, and is
  // closed with the link. Any thread.
  int event_fd() const noexcept;
  void set_mode(RxMode mode) noexcept;
  RxMode mode() const noexcept { return mode_.load(std::memory_order_relaxed); }
  const RxCounters& counters() const noexcept { return counters_; }

  // Makes that readable as the peer would, for a loop that has to come back, and asks the peer not to.
  void remind() noexcept {
    if (link_changed()) refresh();
    remind_here();
  }

  // The same of the link that the last call has found, whatever has become of it: these let go of none, so that buffers
  // that were taken stay readable.
  bool pending_here() noexcept { return left_here() || more_published(); }
  // That take() has seen more than it had room for.
  bool left_here() const noexcept { return next_ != limit_ && !unfinished_; }
  bool arm_here() noexcept;
  void disarm_here() noexcept;
  void remind_here() noexcept;

 private:
  friend class RxQueue;
  friend class RxBurst;
  friend class RawTx;
  friend class detail::Queues;
  friend class detail::WaitSetImpl;
  friend class detail::Watch;
  friend class detail::InterfaceWaits;

  RawRx(detail::Queues& owner, std::uint16_t index, const InterfaceConfig& config, RxCounters* published) noexcept;

  void refresh() noexcept;
  bool look() noexcept;
  bool more_published() noexcept;
  bool plausible(std::uint16_t index) const noexcept;
  void count_burst(std::size_t packets, std::uint64_t bytes) noexcept;

  // Bursts: the last to end gives back all that was taken.
  void begin_burst() noexcept { ++live_bursts_; }
  void end_burst(std::uint32_t epoch) noexcept;

  // Fast path: packets of one buffer each, in slots one after the other.
  struct Run {
    std::size_t buffers = 0;
    std::uint64_t bytes = 0;
  };
  template <class Sink>
  [[gnu::always_inline]] inline Run take_run(std::uint16_t first, std::size_t count, std::size_t at,
                                             Sink sink) noexcept;
  template <class Sink>
  [[gnu::noinline]] Run run_as_server(std::uint16_t first, std::size_t count, std::size_t at, Sink sink) noexcept;
  template <class Sink>
  [[gnu::noinline]] Run run_as_client(std::uint16_t first, std::size_t count, std::size_t at, Sink sink) noexcept;
  // None while a packet is handed out in pieces: no run is to take the last of them for a packet.
  void limit_singles() noexcept {
    const std::uint64_t space = client_ ? shortest_room_ : view_.size;
    single_limit_ = pieces_ != 0 ? 0 : std::min<std::uint64_t>(space, max_packet_);
  }

  // Slow path (rx_chains.hpp).
  enum class Verdict { whole, piece, unfinished, no_space, bad_descriptor, too_many_buffers, oversize };
  struct Chain {  // a packet, from its first slot on
    std::uint16_t end = 0;
    std::size_t parts = 0;
    std::uint64_t bytes = 0;
    Verdict verdict = Verdict::whole;
  };
  template <class Sink>
  [[gnu::noinline]] Taken take_chains(Run run, std::size_t max, Sink sink, LongPackets policy) noexcept;
  template <class Sink>
  [[gnu::noinline]] Chain scan_chain(std::uint16_t first, std::size_t at, std::size_t max, Sink sink,
                                     LongPackets policy) noexcept;
  Verdict judge(const Chain& chain, bool good, std::size_t space, bool first_of_burst) const noexcept;
  bool look_further(std::uint16_t first) noexcept;
  std::byte* resolve(const RawDescriptor& descriptor, std::uint16_t index) noexcept;
  std::uint32_t room(std::uint16_t index) const noexcept;
  std::uint32_t buffer_start(std::uint32_t offset) const noexcept;

  // Slots of packets that are not handed out: marked, and given back with what is before them.
  void drop(std::uint16_t first, const Chain& chain) noexcept;
  bool take_drop_mark(std::uint16_t index) noexcept;
  void publish() noexcept { ring_.publish(static_cast<std::uint16_t>(released_ + publish_offset_)); }
  bool singly() const noexcept { return dropped_count_ != 0 || reposts(); }
  std::size_t give_back_singly(std::size_t count) noexcept;
  void post(std::uint16_t index) noexcept;
  void change_headroom(std::uint32_t headroom) noexcept;
  // Client: some buffer is or was posted with headroom, so every descriptor is written anew when it goes back.
  bool reposts() const noexcept { return shortest_room_ != buffer_size_; }

  void sleep(std::chrono::nanoseconds timeout) noexcept;
  void mask_interrupts() noexcept;
  void found_awake() noexcept;
  void count_interrupt() noexcept;
  void adapt(std::chrono::nanoseconds waited, bool found) noexcept;

  std::uint16_t released_ = 0;        // slots before this one were given back
  std::uint16_t publish_offset_ = 0;  // client: the ring size, since a posted slot is one that was given back earlier
  std::uint16_t live_bursts_ = 0;
  const std::uint32_t max_packet_;
  std::uint32_t pieces_ = 0;        // bytes handed out of a packet that goes on
  std::uint64_t single_limit_ = 0;  // of a packet that a run may take: max_packet_, as a client room, as a server view_
  std::uint32_t headroom_;
  std::uint32_t shortest_room_ = 0;   // client: no posted buffer has less
  DescriptorWord posted_{};           // client: what a freshly posted descriptor says
  std::uint64_t* dropped_ = nullptr;  // one bit a slot: taken, but never handed out
  std::size_t dropped_count_ = 0;
  bool armed_ = false;                 // since the link or the mode changed
  std::uint32_t waits_awake_ = 0;      // in a row
  bool unfinished_ = false;            // the slots before limit_ are a packet whose end is not published
  std::uint16_t interrupted_at_ = 0;   // limit_ at the last interrupt
  std::uint32_t idle_interrupts_ = 0;  // in a row, without a packet in between
  std::atomic<RxMode> mode_;
  std::chrono::nanoseconds spin_;      // adaptive: for how long at most, ...
  std::chrono::nanoseconds spin_now_;  // ... and in the next wait
  Fd events_;                          // RxQueue::event_fd(), once it was asked for; guarded by the owner's mutex
  RxCounters own_counters_;
  RxCounters& counters_;  // its own, or where observers see them
};

// ---------------------------------------------------------------------------------------------------------------------

template <class Sink>
RawRx::Taken RawRx::take(std::size_t max, Sink sink, LongPackets policy) noexcept {
  if (link_changed()) [[unlikely]]
    refresh();
  if (next_ == limit_ && !look()) return {};

  const std::size_t wanted = std::min<std::size_t>(max, static_cast<std::uint16_t>(limit_ - next_));
  const Run run = take_run(next_, wanted, 0, sink);
  if (run.buffers != wanted) [[unlikely]]
    return take_chains(run, max, sink, policy);
  next_ = static_cast<std::uint16_t>(next_ + wanted);
  if (wanted != 0) count_burst(wanted, run.bytes);
  return {wanted, wanted};
}

// Refreshes the private copy of the peer's index; true if there is something beyond what was taken.
inline bool RawRx::look() noexcept {
  const std::uint16_t index = ring_.load_peer_index();
  if (checked && !plausible(index)) [[unlikely]] {
    broken("the peer's ring index is out of range");
    return false;
  }
  limit_ = index;
  return index != next_;
}

// Whether a correct peer's index can be there: not behind what it published before, and not further from what was given
// back than the ring is long.
inline bool RawRx::plausible(std::uint16_t index) const noexcept {
  const auto published = static_cast<std::uint16_t>(index - released_);
  return published <= ring_.size() && published >= static_cast<std::uint16_t>(limit_ - released_);
}

template <class Sink>
RawRx::Run RawRx::take_run(std::uint16_t first, std::size_t count, std::size_t at, Sink sink) noexcept {
  const std::size_t run = std::min(count, std::size_t{ring_.until_end(first)});
  return client_ ? run_as_client(first, run, at, sink) : run_as_server(first, run, at, sink);
}

// As a server: the client's descriptors say where its packets are. The loop is for what nearly all packets are: one
// buffer, in the same region as the last. Region and flags are compared at once, then the bounds; all else is
// scan_chain()'s.
//
// A run is a function of its own, and copies what it needs of the queue, so that its loop lives in registers: the
// compiler cannot know that what the sink writes is no part of the queue.
template <class Sink>
RawRx::Run RawRx::run_as_server(std::uint16_t first, std::size_t count, std::size_t at, Sink sink) noexcept {
  wire::Descriptor* const shared = ring_.descriptor(first);
  const std::size_t slot = ring_.slot(first);
  const std::uint64_t tag = tag_;
  const detail::RegionView view = view_;
  const std::uint64_t longest = checked ? single_limit_ : DescriptorWord::longest;
  std::uint64_t bytes = 0;
  const std::size_t taken = detail::run_of(count, [&](std::size_t i) {
    const RawDescriptor descriptor = Ring::load(shared[i]);
    const DescriptorWord word{descriptor.word.value - tag};
    const std::uint64_t length = word.length_if_whole();
    const std::uint64_t offset = descriptor.offset;
    const std::uint64_t last = length - 1;
    if (last >= longest || (checked && offset + last >= view.size)) [[unlikely]]
      return false;
    sink(at + i, view.base + offset, word, static_cast<std::uint32_t>(length), slot + i);
    bytes += length;
    return true;
  });
  return {taken, bytes};
}

// As a client: the packets are where this side posted buffers; of the descriptor only length and NEXT are the server's
// to say. The slot is this side's own until it is posted again, so what the server changed is put right at once. A
// server that changed the region as well is not believed, but served by scan_chain().
template <class Sink>
RawRx::Run RawRx::run_as_client(std::uint16_t first, std::size_t count, std::size_t at, Sink sink) noexcept {
  wire::Descriptor* const shared = ring_.descriptor(first);
  const std::size_t slot = ring_.slot(first);
  const std::uint32_t* const offsets = offsets_ + slot;
  std::byte* const base = base_;
  const DescriptorWord posted = posted_;
  const std::uint64_t tag = posted.tag();
  const std::uint32_t room = shortest_room_;
  const std::uint64_t longest = checked ? single_limit_ : DescriptorWord::longest;
  std::uint64_t bytes = 0;
  const std::size_t taken = detail::run_of(count, [&](std::size_t i) {
    const DescriptorWord word{Ring::load_word(shared[i]).value - tag};
    const std::uint64_t length = word.length_if_whole();
    if (length - 1 >= longest) [[unlikely]]
      return false;
    Ring::store_word(shared[i], posted);
    sink(at + i, base + offsets[i], word, room, slot + i);
    bytes += length;
    return true;
  });
  return {taken, bytes};
}

inline void RawRx::count_burst(std::size_t packets, std::uint64_t bytes) noexcept {
  RxCounters& counters = counters_;
  counters.packets.add(packets);
  counters.bytes.add(bytes);
  counters.bursts.add(1);
  if (detail::rx_burst_is_watched()) [[unlikely]]
    detail::probe_rx_burst(&owner_, index_, packets, bytes);
}

inline std::size_t RawRx::release(std::size_t count, std::uint32_t headroom) noexcept {
  if (link_changed()) [[unlikely]]
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

// One of a former link has nothing to give back.
inline void RawRx::end_burst(std::uint32_t epoch) noexcept {
  if (epoch != epoch_ || --live_bursts_ != 0) return;
  if (singly()) [[unlikely]] {
    give_back_singly(ring_.size());
    return;
  }
  released_ = next_;
  publish();
}

}  // namespace memif

#include <memif/detail/rx_chains.hpp>
