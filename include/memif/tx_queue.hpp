// Transmitting: a packet's way from the application to the ring.
#pragma once

#include <algorithm>
#include <span>

#include <memif/detail/queue.hpp>
#include <memif/rx_queue.hpp>

namespace memif {

class TxBurst;

// The transmitting side of one ring. Any one thread at a time uses a queue; counters() is for any thread.
//
// Allocating reserves nothing: it shows the free buffers that the next send() will use, so whatever is not sent needs
// no giving back. While the link is down there are none.
class alignas(128) TxQueue : public detail::Queue {
 public:
  // As many packets of `size` bytes as the array has buffers for and the ring has room for, at most `packets`. Longer
  // packets than a buffer are chains. Fill them, resize() them if need be, send them.
  TxBurst allocate(std::span<Buffer> buffers, std::uint32_t size, std::size_t packets = ~std::size_t{0}) noexcept;

  // An empty burst to which packets of different sizes are added: TxBurst::add().
  TxBurst begin(std::span<Buffer> buffers) noexcept;

  // Publishes the burst and returns the packets sent: all, or 0 for a burst of a former link. The burst is empty then.
  std::size_t send(TxBurst& burst) noexcept;

  // Sends received packets on, in order, as long as there is room, and takes them out of the burst: what is left can be
  // forwarded later. Where both queues belong to one link of a client, buffers change places and no byte is copied;
  // else packets are copied. One that can never be sent (it takes more than 64 buffers here, or more than the ring has)
  // is taken out as well, and counted as `rejected`. Returns the packets sent. The burst still ends by itself.
  std::size_t forward(RxBurst& burst) noexcept;

  // Allocates, copies and sends one packet, in at most 64 buffers; false if there is no room.
  bool send_copy(std::span<const std::byte> packet) noexcept;

  const TxCounters& counters() const noexcept { return counters_; }

  // --- The same in parts, for language bindings. ---

  // Shows free buffers for up to `packets` packets of `size` bytes, in at most `max` buffers, beginning `after` buffers
  // beyond the next to be sent: sink(i, data, extent, capacity, slot), as RxQueue::take() has it. Returns the
  // buffers shown, whole packets; none for a `size` of 0 or of 1 GiB and more.
  template <class Sink>
  std::size_t reserve(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after, Sink sink) noexcept;

  struct Published {
    std::size_t buffers = 0;
    std::size_t packets = 0;
  };

  // Publishes the next `count` buffers as `source` describes them, whole packets only, and stops before the first
  // packet that has an empty part or one outside its buffer. A source is a small value with
  //     Extent extent(std::size_t i);          of buffer i
  //     std::byte* data(std::size_t i);        optional: where they begin, if not at the buffer's start (client only)
  //     bool in_place(std::size_t i, std::size_t slot);   optional: whether buffer i is that slot's, where data()
  //     cannot tell
  template <class Source>
  Published publish(std::size_t count, Source source) noexcept;

  // Accepts the next `count` buffers as parts of a packet that goes on: publish() publishes them with its end, the peer
  // sees nothing before. False, and nothing is accepted, if one is empty or outside its buffer, or if they would leave
  // no slot of the ring for the end: then what was held is given up. If the link goes, so do they, and the queue is
  // down for a call, even if there is another link by then: nobody is to send what follows as if it were a packet.
  // Given up or gone, they are counted as `rejected`. Not to be mixed with bursts.
  template <class Source>
  bool hold(std::size_t count, Source source) noexcept;

  // Buffers held, right before the next to be sent.
  std::size_t held() const noexcept { return part_ != 0 && counters_.packets.get() == part_after_ ? part_ : 0; }

  // Client: puts the buffer of a slot that `from` holds in the place of the buffer `after` slots beyond the next to be
  // sent, and the other way round. False if the two queues do not share a link, or there is no such slot.
  bool exchange(RxQueue& from, std::uint16_t slot, std::size_t after) noexcept;

  // The same for two slots to be sent.
  bool exchange(std::size_t after, TxQueue& other, std::size_t other_after) noexcept;

  // Client, MemoryHooks::placed: the buffer `after` slots beyond the next to be sent is the one at `offset` of the
  // buffer region. False if it would not lie in the region, or there is no such slot.
  bool place(std::size_t after, std::uint32_t offset) noexcept;

  // Free slots, as of the peer's present index.
  std::size_t room() noexcept;

  // Takes the present link, if that has changed; whether there is one.
  bool renew() noexcept {
    if (attention()) [[unlikely]]
      refresh();
    return up();
  }

  // The slot `after` slots beyond the next to be sent.
  std::uint16_t slot(std::size_t after) const noexcept { return ring_.slot(static_cast<std::uint16_t>(next_ + after)); }
  std::uint32_t ring_size() const noexcept { return ring_.size(); }

  std::uint32_t epoch() const noexcept { return epoch_; }

 private:
  friend class TxBurst;
  friend class detail::Port;

  TxQueue(detail::Port& port, std::uint16_t index, TxCounters* published) noexcept;

  static auto filler(Buffer* to) noexcept {
    return [to](std::size_t i, std::byte* data, Extent extent, std::uint32_t capacity, std::size_t) {
      to[i] = Buffer::to_send(data, extent, capacity);
    };
  }

  void refresh() noexcept;
  std::size_t free_after(std::size_t after) const noexcept;
  std::size_t find_free(std::size_t after, std::size_t wanted) noexcept;
  [[gnu::noinline]] inline bool look() noexcept;
  void notify() noexcept;
  void give_back(std::uint16_t end) noexcept;
  void forget_usual() noexcept;
  void take_back(std::size_t after) noexcept;
  void give_up_held() noexcept;
  std::size_t forward_exchanged(RxBurst& burst) noexcept;
  std::size_t forward_copied(RxBurst& burst) noexcept;
  std::size_t copy_some(RxBurst& burst) noexcept;
  template <class Sink>
  std::size_t reserve_own(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                          Sink sink) noexcept;
  template <class Sink>
  [[gnu::noinline]] std::size_t reserve_own_run(std::size_t after, std::size_t count, std::uint32_t size,
                                                std::size_t at, Sink sink) noexcept;
  template <class Sink>
  [[gnu::noinline]] std::size_t reserve_own_chains(std::size_t packets, std::uint32_t size, std::size_t max,
                                                   std::size_t after, Sink sink) noexcept;
  template <class Sink>
  std::size_t reserve_posted(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                             Sink sink) noexcept;
  template <class Sink>
  [[gnu::noinline]] std::size_t reserve_posted_rest(std::size_t packets, std::uint32_t size, std::size_t max,
                                                    std::size_t after, std::size_t used, Sink sink) noexcept;
  template <class Sink>
  [[gnu::noinline]] std::size_t reserve_posted_run(std::size_t after, std::size_t count, std::uint32_t size,
                                                   std::size_t at, Sink sink) noexcept;
  template <class Sink>
  [[gnu::noinline]] std::size_t reserve_posted_packet(std::size_t after, std::size_t max, std::uint32_t size,
                                                      std::size_t at, Sink sink) noexcept;

  // Buffers in slots one after the other that publish() has described. Their lengths and NEXT flags are summed up in
  // one go, in the two halves of a word, as they are in a descriptor: that bounds a run.
  struct Written {
    std::uint32_t buffers = 0;
    std::uint32_t continued = 0;  // of these, those that are not the last of their packet
    std::uint64_t bytes = 0;
  };
  static constexpr std::size_t max_run = 2048;
  static constexpr std::uint32_t max_part = 1 << 20;  // no longer are own buffers; of posted ones, the rest is not used
  static_assert(max_run * std::uint64_t{max_part} < std::uint64_t{1} << 32);
  template <class Source>
  [[gnu::always_inline]] inline Written write_run(std::size_t from, std::size_t count, Source source) noexcept;
  template <class Source>
  Written write_rest(Written written, std::size_t count, Source source) noexcept;
  template <class Source>
  [[gnu::noinline]] Published publish_rest(Written written, std::size_t count, Source source) noexcept;
  inline Published commit(Written written) noexcept;
  template <bool offsets_vary, class Source>
  [[gnu::noinline]] Written write_own(std::uint16_t first, std::size_t count, std::size_t from, Source source) noexcept;
  template <bool usual, class Source>
  [[gnu::noinline]] Written write_posted(std::uint16_t first, std::size_t count, std::size_t from,
                                         Source source) noexcept;

  template <class Source>
  static constexpr bool moves = requires(Source source) {
    source.data(std::size_t{0});
  };
  template <class Source>
  static bool in_place(const Source& source, std::size_t i, std::size_t slot) noexcept {
    if constexpr (requires { source.in_place(i, slot); }) return source.in_place(i, slot);
    return true;
  }

  // Buffers as they were handed out.
  struct Unmoved {
    const Buffer* buffers;
    Extent extent(std::size_t i) const noexcept { return buffers[i].extent(); }
  };
  // Received buffers that changed places with those of this queue.
  struct Moved : Unmoved {
    std::byte* data(std::size_t i) const noexcept { return buffers[i].data_; }
  };
  std::byte* resolve(const RawDescriptor& descriptor) noexcept;

  // Of a posted descriptor: what no extent less one byte exceeds if it fits into the buffer, with the region's bits
  // where a descriptor has them. All in one word, so that write_posted() checks and writes with one load of it.
  static std::uint64_t bound(std::uint64_t posted_word0) noexcept {
    return (posted_word0 | 0xffff) - Extent::of(1).word;
  }

  std::uint16_t limit_offset_ = 0;  // client: the ring size, since a slot is free once the peer has passed it
  std::uint32_t own_tag_ = 0;       // client: region of its buffers, no flags
  bool offsets_vary_ = false;       // client: descriptors may point elsewhere than to the start of their slot's buffer
  std::uint64_t usual_ = 0;  // server: word0 of the last unusual descriptor found good, no flags; its region is view_
  std::size_t usual_ahead_ = 0;      // server: of so many slots from next_ on the descriptors were like that when read
  std::uint64_t* posted_ = nullptr;  // server: of the others, as each was read and checked, its bound()
  std::uint16_t part_ = 0;           // buffers that hold() accepted, which lie before next_, ...
  std::uint64_t part_after_ = 0;     // ... as long as no more packets than these were published
  TxCounters own_counters_;
  TxCounters& counters_;  // its own, or where observers see them
};

// Packets being prepared. Dropping it sends nothing and loses nothing. When its queue has taken another link, by
// whatever call, a burst has no packets and takes none.
class TxBurst {
 public:
  // Adds a packet of `size` bytes; false if the array or the ring has no room for it, or the link is a former one. The
  // new packet is back().
  bool add(std::uint32_t size) noexcept {
    if (state_.used < state_.shown && current() && buffers_[state_.used].fill(size)) [[likely]] {
      ++state_.used;
      return true;
    }
    const State before = state_;
    state_ = before.used == 0 ? add_first(size) : look_ahead(*queue_, buffers_, epoch_, before, size);
    return state_.used != before.used;
  }

  // The last packet; of an empty burst, Packet::none().
  Packet back() const noexcept {
    const std::span<Buffer> used = buffers();
    if (used.empty()) [[unlikely]]
      return Packet::none();
    std::size_t first = used.size() - 1;
    while (first != 0 && used[first - 1].more()) --first;
    return Packet(used.subspan(first));
  }
  bool empty() const noexcept { return buffers().empty(); }
  std::size_t size() const noexcept {  // packets; counts them
    const std::span<Buffer> used = buffers();
    return static_cast<std::size_t>(std::count_if(used.begin(), used.end(), [](const Buffer& b) { return !b.more(); }));
  }
  std::span<Buffer> buffers() const noexcept { return buffers_.first(current() ? state_.used : 0); }
  PacketIterator begin() const noexcept { return PacketIterator(buffers_.data()); }
  PacketIterator end() const noexcept { return PacketIterator(buffers_.data() + buffers().size()); }

  std::size_t send() noexcept { return queue_->send(*this); }

 private:
  friend class TxQueue;

  // In two words, so that it travels in registers: a loop that adds packets then stores nothing but these, and no store
  // of its own waits in the processor behind theirs.
  struct State {
    std::uint32_t used = 0;
    std::uint32_t shown = 0;  // up to here, buffers that a packet each may use are in the array already
    std::uint32_t ahead = 0;  // packets asked for last, 0 after a chain
  };

  TxBurst(TxQueue* queue, std::span<Buffer> buffers, std::uint32_t epoch, std::size_t used) noexcept
      : queue_(queue), buffers_(buffers), state_{.used = static_cast<std::uint32_t>(used)}, epoch_(epoch) {}

  bool current() const noexcept { return epoch_ == queue_->epoch(); }
  State add_first(std::uint32_t size) noexcept {
    const std::size_t n = queue_->reserve(1, size, buffers_.size(), 0, TxQueue::filler(buffers_.data()));
    if (n == 0 || !current()) return {};
    return {.used = static_cast<std::uint32_t>(n), .shown = static_cast<std::uint32_t>(n), .ahead = n == 1};
  }
  static State look_ahead(TxQueue& queue, std::span<Buffer> buffers, std::uint32_t epoch, State state,
                          std::uint32_t size) noexcept;

  TxQueue* queue_;
  std::span<Buffer> buffers_;
  State state_;
  std::uint32_t epoch_;
};

// ---------------------------------------------------------------------------------------------------------------------

inline TxBurst TxQueue::allocate(std::span<Buffer> buffers, std::uint32_t size, std::size_t packets) noexcept {
  const std::size_t used = reserve(packets, size, buffers.size(), 0, filler(buffers.data()));
  return {this, buffers, epoch_, used};
}

inline TxBurst TxQueue::begin(std::span<Buffer> buffers) noexcept {
  if (attention()) [[unlikely]]
    refresh();
  return {this, buffers, epoch_, 0};
}

inline std::size_t TxQueue::send(TxBurst& burst) noexcept {
  const Buffer* const buffers = burst.buffers_.data();
  const std::size_t used = std::exchange(burst.state_, {}).used;
  if (attention()) [[unlikely]]
    refresh();
  if (burst.epoch_ != epoch_) [[unlikely]] {
    counters_.rejected.add(1);
    return 0;
  }
  return publish(used, Unmoved{buffers}).packets;
}

// Free slots beyond `after`, as far as is known.
inline std::size_t TxQueue::free_after(std::size_t after) const noexcept {
  const std::size_t free = static_cast<std::uint16_t>(limit_ - next_);
  return free > after ? free - after : 0;
}

// How many of the `wanted` slots beyond `after` are free; looks at the peer's index only if less than that is known.
inline std::size_t TxQueue::find_free(std::size_t after, std::size_t wanted) noexcept {
  if (static_cast<std::uint16_t>(limit_ - next_) >= after + wanted) return wanted;
  look();
  return std::min(wanted, free_after(after));
}

bool TxQueue::look() noexcept {
  const auto limit = static_cast<std::uint16_t>(ring_.load_peer_index() + limit_offset_);
  const auto free = static_cast<std::uint16_t>(limit - next_);
  if (checked && (free + held() > ring_.size() || free < static_cast<std::uint16_t>(limit_ - next_))) [[unlikely]] {
    broken("the peer's ring index is out of range");
    return false;
  }
  limit_ = limit;
  return true;
}

template <class Sink>
std::size_t TxQueue::reserve(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                             Sink sink) noexcept {
  if (attention()) [[unlikely]]
    refresh();
  if (!up() || size - 1 >= Buffer::max_capacity) return 0;  // a size of 0 wraps round
  max = std::min<std::size_t>(max, ring_.size());
  return client_ ? reserve_own(packets, size, max, after, sink) : reserve_posted(packets, size, max, after, sink);
}

template <class Source>
TxQueue::Published TxQueue::publish(std::size_t count, Source source) noexcept {
  const Written written = write_run(0, count, source);
  if (written.buffers != count || (count != 0 && source.extent(count - 1).more())) [[unlikely]]
    return publish_rest(written, count, source);
  return count != 0 ? commit(written) : Published{};
}

inline TxQueue::Published TxQueue::commit(Written written) noexcept {
  const std::size_t packets = written.buffers - written.continued;
  next_ = static_cast<std::uint16_t>(next_ + written.buffers);
  usual_ahead_ -= std::min<std::size_t>(usual_ahead_, written.buffers);
  if (ring_.publish_to_receiver(next_)) notify();
  TxCounters& counters = counters_;
  counters.packets.add(packets);
  counters.bytes.add(written.bytes);
  counters.bursts.add(1);
  MEMIF_PROBE(tx_burst, &port_, index_, packets, written.bytes);
  return {written.buffers, packets};
}

// Buffers in slots one after the other, beginning with buffer `from`; nearly always, that is all there are.
template <class Source>
TxQueue::Written TxQueue::write_run(std::size_t from, std::size_t count, Source source) noexcept {
  const auto first = static_cast<std::uint16_t>(next_ + from);
  const std::size_t free = static_cast<std::uint16_t>(limit_ - first);
  const std::size_t before_end = ring_.until_end(first);
  std::size_t run = count - from;
  run = std::min(run, free);
  run = std::min(run, before_end);
  run = std::min(run, max_run);
  if (from < usual_ahead_) return write_posted<true>(first, std::min(run, usual_ahead_ - from), from, source);
  if (!client_) return write_posted<false>(first, run, from, source);
  return offsets_vary_ ? write_own<true>(first, run, from, source) : write_own<false>(first, run, from, source);
}

// Buffers that are not one run, as far as they can be sent.
template <class Source>
TxQueue::Written TxQueue::write_rest(Written written, std::size_t count, Source source) noexcept {
  while (written.buffers != count) {
    const Written part = write_run(written.buffers, count, source);
    written.buffers += part.buffers;
    written.continued += part.continued;
    written.bytes += part.bytes;
    if (part.buffers != 0) continue;
    if (!moves<Source> || !client_ || std::exchange(offsets_vary_, true)) break;  // else: perhaps one that was moved
  }
  if (written.buffers != count) {
    counters_.rejected.add(1);
    MEMIF_PROBE(tx_drop, &port_, index_, count - written.buffers, 1);
  }
  return written;
}

// A burst that is not one run, or not of whole packets.
template <class Source>
TxQueue::Published TxQueue::publish_rest(Written written, std::size_t count, Source source) noexcept {
  written = write_rest(written, count, source);
  // A packet at the end whose last part is missing is taken back.
  while (written.buffers != 0 && source.extent(written.buffers - 1).more()) {
    --written.buffers;
    --written.continued;
    written.bytes -= source.extent(written.buffers).length();
    take_back(written.buffers);
  }
  return written.buffers != 0 ? commit(written) : Published{};
}

// The index that the next publish() stores is beyond them.
template <class Source>
bool TxQueue::hold(std::size_t count, Source source) noexcept {
  const std::size_t before = held();
  if (before + count >= ring_.size()) {
    give_up_held();
    return false;
  }
  forget_usual();
  Written written = write_rest({}, count, source);
  if (written.buffers != count) {
    while (written.buffers != 0) take_back(--written.buffers);
    return false;
  }
  next_ = static_cast<std::uint16_t>(next_ + count);
  part_ = static_cast<std::uint16_t>(before + count);
  part_after_ = counters_.packets.get();
  counters_.bytes.add(written.bytes);
  return true;
}

}  // namespace memif

#include <memif/detail/tx_queue_client.hpp>
#include <memif/detail/tx_queue_server.hpp>
