// Transmitting: a packet's way from the application to the ring. Chains, odd buffers and parts of packets are in
// tx_chains.hpp.
#pragma once

#include <algorithm>
#include <span>

#include <memif/detail/probes.hpp>
#include <memif/detail/queue.hpp>
#include <memif/detail/raw_rx.hpp>

namespace memif {

// A transmit queue in parts: memif/raw.hpp says for whom.
class MEMIF_VARIANT alignas(128) RawTx : public detail::Queue {
 public:
  // The longest packet that peek() has buffers for, bytes.
  static constexpr std::uint32_t max_packet = (std::uint32_t{1} << 30) - 1;

  // Shows free buffers for up to `packets` packets of `size` bytes, in at most `max` buffers, beginning `after` buffers
  // beyond the next to be sent: sink(i, data, word, capacity, slot), as RawRx::take() has it. Claims nothing: the next
  // publish() uses them, or another peek() shows them again. Returns the buffers shown, whole packets; none for a
  // `size` of 0 or beyond max_packet.
  template <class Sink>
  std::size_t peek(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after, Sink sink) noexcept;

  struct Published {
    std::size_t buffers = 0;
    std::size_t packets = 0;
  };

  // Publishes the next `count` buffers as `source` describes them, whole packets only, and stops before the first
  // packet that has an empty part or one outside its buffer. A source is a small value with
  //     DescriptorWord word(std::size_t i);    of buffer i: length and NEXT, region 0
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
  // sent, and the other way round. False if the two queues do not share their buffers, or there is no such slot.
  bool exchange(RawRx& from, std::uint16_t slot, std::size_t after) noexcept;

  // The same for two slots to be sent.
  bool exchange(std::size_t after, RawTx& other, std::size_t other_after) noexcept;

  // Whether buffers of `from` can change places with those of this queue: both are of one link of a client, or of one
  // pool.
  bool can_exchange(const RawRx& from) const noexcept { return shares_buffers_with(from); }

  // Client, MemoryHooks::placed: the buffer `after` slots beyond the next to be sent is the one at `offset` of the
  // buffer region. False if it would not lie in the region, or there is no such slot.
  bool place(std::size_t after, std::uint32_t offset) noexcept;

  // Client of a pool: the buffer that begins at `offset` takes the place of that `after` slots beyond the next to be
  // sent, whose beginning `offset` is then. False if there is no such slot.
  bool trade(std::size_t after, std::uint32_t& offset) noexcept;

  // Free slots, as of the peer's present index; at most `wanted` are looked for.
  std::size_t room(std::size_t wanted = ~std::size_t{0}) noexcept;

  // As TxQueue has it.
  bool wait(std::size_t wanted, std::chrono::nanoseconds timeout) noexcept;

  // Takes the present link, if that has changed; whether there is one.
  bool renew() noexcept {
    if (link_changed()) [[unlikely]]
      refresh();
    return up();
  }

  // The slot `after` slots beyond the next to be sent.
  std::uint16_t slot(std::size_t after) const noexcept { return ring_.slot(static_cast<std::uint16_t>(next_ + after)); }
  std::uint32_t ring_size() const noexcept { return ring_.size(); }

  // Free slots beyond `after`, as far as is known without a look at the peer's index.
  std::size_t free_after(std::size_t after) const noexcept {
    const std::size_t free = static_cast<std::uint16_t>(limit_ - next_);
    return free > after ? free - after : 0;
  }

  // Packets that could not be had or sent, for whoever finds that out: see TxCounters.
  void count_ring_full() noexcept { counters_.ring_full.add(1); }
  void count_rejected() noexcept { counters_.rejected.add(1); }
  const TxCounters& counters() const noexcept { return counters_; }

 private:
  friend class TxQueue;
  friend class detail::Queues;
  friend class detail::WaitSetImpl;
  friend class detail::Watch;
  friend class detail::InterfaceWaits;

  RawTx(detail::Queues& owner, std::uint16_t index, const InterfaceConfig& config, TxCounters* published) noexcept;

  void refresh() noexcept;
  bool has_room(std::size_t wanted) noexcept;
  std::size_t find_free(std::size_t after, std::size_t wanted) noexcept;
  [[gnu::noinline]] inline bool look() noexcept;
  void notify() noexcept;

  // exchange() with what it checks taken for granted: shared buffers, a slot of `from`, a free one here. Each of these
  // stores into a line that the peer has; fetched in advance, those of a burst are under way together.
  void exchange_free(RawRx& from, std::uint16_t slot, std::size_t after) noexcept;
  void prefetch_descriptors(std::size_t count) noexcept;

  // Fast path, client: packets of one buffer each, in slots one after the other.
  template <class Sink>
  std::size_t peek_as_client(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                             Sink sink) noexcept;
  template <class Sink>
  [[gnu::noinline]] std::size_t peek_run_as_client(std::size_t after, std::size_t count, std::uint32_t size,
                                                   std::size_t at, Sink sink) noexcept;
  // Fast path, server: posted buffers that are like the last one that was found good.
  template <class Sink>
  std::size_t peek_as_server(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                             Sink sink) noexcept;
  template <class Sink>
  [[gnu::noinline]] std::size_t peek_run_as_server(std::size_t after, std::size_t count, std::uint32_t size,
                                                   std::size_t at, Sink sink) noexcept;
  // Slow path of both.
  template <class Sink>
  [[gnu::noinline]] std::size_t peek_chains_as_client(std::size_t packets, std::uint32_t size, std::size_t max,
                                                      std::size_t after, Sink sink) noexcept;
  template <class Sink>
  [[gnu::noinline]] std::size_t peek_chains_as_server(std::size_t packets, std::uint32_t size, std::size_t max,
                                                      std::size_t after, std::size_t used, Sink sink) noexcept;
  struct Chain {  // posted buffers for one packet
    std::size_t parts = 0;
    enum class End { fits, no_space, bad_buffer } end = End::fits;
  };
  template <class Sink>
  [[gnu::noinline]] Chain scan_posted(std::size_t after, std::size_t max, std::uint32_t size, std::size_t at,
                                      Sink sink) noexcept;
  std::byte* resolve(const RawDescriptor& descriptor) noexcept;
  void give_back(std::uint16_t end) noexcept;

  // Buffers in slots one after the other that publish() has described. Their lengths and NEXT flags are summed up in
  // one go, in the two halves of a word, as they are in a descriptor: that bounds a run.
  struct Written {
    std::uint32_t buffers = 0;
    std::uint32_t continued = 0;  // of these, those that are not the last of their packet
    std::uint64_t bytes = 0;

    static Written of(std::size_t buffers, std::uint64_t sum) noexcept {
      return {static_cast<std::uint32_t>(buffers), static_cast<std::uint32_t>(sum), sum >> 32};
    }
  };
  static constexpr std::size_t max_run = 2048;
  static constexpr std::uint32_t max_part = 1 << 20;  // no longer are own buffers; of posted ones, the rest is not used
  static_assert(max_run * std::uint64_t{max_part} < std::uint64_t{1} << 32);
  template <class Source>
  [[gnu::always_inline]] inline Written write_run(std::size_t from, std::size_t count, Source source) noexcept;
  template <bool offsets_vary, class Source>
  [[gnu::noinline]] Written write_as_client(std::uint16_t first, std::size_t count, std::size_t from,
                                            Source source) noexcept;
  template <bool alike, class Source>
  [[gnu::noinline]] Written write_as_server(std::uint16_t first, std::size_t count, std::size_t from,
                                            Source source) noexcept;
  Published commit(Written written) noexcept;
  // Slow path of publish() and hold().
  template <class Source>
  Written write_rest(Written written, std::size_t count, Source source) noexcept;
  template <class Source>
  [[gnu::noinline]] Published publish_rest(Written written, std::size_t count, Source source) noexcept;
  void take_back(std::size_t after) noexcept;
  void give_up_held() noexcept;

  template <class Source>
  static constexpr bool moves = requires(Source source) {
    source.data(std::size_t{0});
  };
  template <class Source>
  static bool in_place(const Source& source, std::size_t i, std::size_t slot) noexcept {
    if constexpr (requires { source.in_place(i, slot); }) return source.in_place(i, slot);
    return true;
  }

  // Of a posted descriptor: what no word less one byte exceeds if it fits into the buffer, with the region's bits where
  // a descriptor has them. All in one word, so that write_as_server() checks and writes with one load of it.
  static std::uint64_t bound(DescriptorWord posted) noexcept {
    return (posted.value | 0xffff) - DescriptorWord::of(1).value;
  }
  void forget_alike() noexcept;

  std::uint16_t limit_offset_ = 0;  // client: the ring size, since a slot is free once the peer has passed it
  std::uint32_t own_tag_ = 0;       // client: region of its buffers, no flags
  bool offsets_vary_ = false;       // client: descriptors may point elsewhere than to the start of their slot's buffer
  DescriptorWord alike_{};       // server: the last descriptor that resolve() found good, no flags; its region is view_
  std::size_t alike_ahead_ = 0;  // server: of so many slots from next_ on the descriptors were like that when read
  std::uint64_t* posted_ = nullptr;      // server: of the others, as each was read and checked, its bound()
  std::uint16_t part_ = 0;               // buffers that hold() accepted, which lie before next_, ...
  std::uint64_t part_after_ = 0;         // ... as long as no more packets than these were published
  const RxMode mode_;                    // how it waits
  const std::chrono::nanoseconds spin_;  // adaptive: for how long
  TxCounters own_counters_;
  TxCounters& counters_;  // its own, or where observers see them
};

// ---------------------------------------------------------------------------------------------------------------------

template <class Sink>
std::size_t RawTx::peek(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                        Sink sink) noexcept {
  if (link_changed()) [[unlikely]]
    refresh();
  if (!up() || size - 1 >= max_packet) return 0;  // a size of 0 wraps round
  max = std::min<std::size_t>(max, ring_.size());
  return client_ ? peek_as_client(packets, size, max, after, sink) : peek_as_server(packets, size, max, after, sink);
}

// As a client: this side's own table says where the buffers are; shared memory is not touched.
template <class Sink>
std::size_t RawTx::peek_as_client(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                                  Sink sink) noexcept {
  if (size > buffer_size_) [[unlikely]]
    return peek_chains_as_client(packets, size, max, after, sink);
  const std::size_t wanted = std::min(packets, max);
  const std::size_t count = find_free(after, wanted);
  if (count != wanted) count_ring_full();
  const std::size_t taken = peek_run_as_client(after, count, size, 0, sink);
  if (taken != count) [[unlikely]]  // the array's end was between
    peek_run_as_client(after + taken, count - taken, size, taken, sink);
  return count;
}

template <class Sink>
std::size_t RawTx::peek_run_as_client(std::size_t after, std::size_t count, std::uint32_t size, std::size_t at,
                                      Sink sink) noexcept {
  const auto first = static_cast<std::uint16_t>(next_ + after);
  const std::size_t slot = ring_.slot(first);
  const std::uint32_t* const offsets = offsets_ + slot;
  std::byte* const base = base_;
  const std::uint32_t room = buffer_size_;
  return detail::run_of(std::min<std::size_t>(count, ring_.until_end(first)), [&](std::size_t i) {
    std::byte* const data = base + offsets[i];
    detail::prefetch_to_write(data);
    sink(at + i, data, DescriptorWord::of(size), room, slot + i);
    return true;
  });
}

// As a server: the buffers are those that the client posted, where its descriptors say. Each descriptor is copied once,
// checked, and remembered, for publish() to go by: those that are alike by their number, others one by one in posted_.
template <class Sink>
std::size_t RawTx::peek_as_server(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                                  Sink sink) noexcept {
  const std::size_t wanted = std::min(packets, max);
  const std::size_t taken = peek_run_as_server(after, find_free(after, wanted), size, 0, sink);
  return taken == wanted ? taken : peek_chains_as_server(packets, size, max, after, taken, sink);
}

// Up to the first that is no packet of one buffer. Nearly all posted descriptors are alike but for their offsets, so
// one comparison with one found good checks all else.
template <class Sink>
std::size_t RawTx::peek_run_as_server(std::size_t after, std::size_t count, std::uint32_t size, std::size_t at,
                                      Sink sink) noexcept {
  const DescriptorWord alike = alike_;
  if (alike.length() < size || after > alike_ahead_) return 0;
  const auto first = static_cast<std::uint16_t>(next_ + after);
  count = std::min(count, std::size_t{ring_.until_end(first)});
  wire::Descriptor* const shared = ring_.descriptor(first);
  const std::size_t slot = ring_.slot(first);
  std::byte* const base = view_.base;
  const std::uint64_t last_offset = view_.size - alike.length();
  const std::size_t taken = detail::run_of(count, [&](std::size_t i) {
    const RawDescriptor descriptor = Ring::load(shared[i]);
    if (descriptor.word != alike || (checked && descriptor.offset > last_offset)) [[unlikely]]
      return false;
    std::byte* const data = base + descriptor.offset;
    detail::prefetch_to_write(data);
    sink(at + i, data, DescriptorWord::of(size), alike.length(), slot + i);
    return true;
  });
  alike_ahead_ = std::max(alike_ahead_, after + taken);
  return taken;
}

// How many of the `wanted` slots beyond `after` are free; looks at the peer's index only if less than that is known.
inline std::size_t RawTx::find_free(std::size_t after, std::size_t wanted) noexcept {
  if (static_cast<std::uint16_t>(limit_ - next_) >= after + wanted) return wanted;
  look();
  return std::min(wanted, free_after(after));
}

bool RawTx::look() noexcept {
  const auto limit = static_cast<std::uint16_t>(ring_.load_peer_index() + limit_offset_);
  const auto free = static_cast<std::uint16_t>(limit - next_);
  if (checked && (free + held() > ring_.size() || free < static_cast<std::uint16_t>(limit_ - next_))) [[unlikely]] {
    broken("the peer's ring index is out of range");
    return false;
  }
  limit_ = limit;
  return true;
}

template <class Source>
RawTx::Published RawTx::publish(std::size_t count, Source source) noexcept {
  const Written written = write_run(0, count, source);
  if (written.buffers != count || (count != 0 && source.word(count - 1).more())) [[unlikely]]
    return publish_rest(written, count, source);
  return count != 0 ? commit(written) : Published{};
}

// Buffers in slots one after the other, beginning with buffer `from`; nearly always, that is all there are. Slots that
// were alike ahead were free then, and nobody else fills them.
template <class Source>
RawTx::Written RawTx::write_run(std::size_t from, std::size_t count, Source source) noexcept {
  const auto first = static_cast<std::uint16_t>(next_ + from);
  std::size_t run = std::min(std::min<std::size_t>(count - from, max_run), std::size_t{ring_.until_end(first)});
  if (from < alike_ahead_) return write_as_server<true>(first, std::min(run, alike_ahead_ - from), from, source);
  run = std::min(run, std::size_t{static_cast<std::uint16_t>(limit_ - first)});
  if (!client_) return write_as_server<false>(first, run, from, source);
  return offsets_vary_ ? write_as_client<true>(first, run, from, source)
                       : write_as_client<false>(first, run, from, source);
}

// As a client: the whole descriptor is this side's. Fields that already hold their value are left alone. The offset is
// looked at only if it ever was another than the start of the slot's buffer: until then the run ends before the first
// packet that begins elsewhere.
template <bool offsets_vary, class Source>
RawTx::Written RawTx::write_as_client(std::uint16_t first, std::size_t count, std::size_t from,
                                      Source source) noexcept {
  wire::Descriptor* const shared = ring_.descriptor(first);
  const std::size_t slot = ring_.slot(first);
  [[maybe_unused]] const std::uint32_t* const offsets = offsets_ + slot;
  [[maybe_unused]] std::byte* const base = base_;
  const std::uint64_t tag = own_tag_;
  const std::uint32_t room = buffer_size_;
  std::uint64_t sum = 0;
  const std::size_t written = detail::run_of(count, [&](std::size_t i) {
    const DescriptorWord word = source.word(from + i);
    // An empty part wraps round to more than any buffer has; so does data before the buffer's start.
    if (checked && word.value - DescriptorWord::of(1).value >= DescriptorWord::of(room).value) [[unlikely]]
      return false;
    if constexpr (moves<Source> && !offsets_vary) {
      if (source.data(from + i) != base + offsets[i]) [[unlikely]]
        return false;
    } else if (!in_place(source, from + i, slot + i)) [[unlikely]] {
      return false;
    }
    if constexpr (offsets_vary) {
      std::uint32_t offset = offsets[i];
      if constexpr (moves<Source>) {
        const auto moved = static_cast<std::uint64_t>(source.data(from + i) - base) - offset;
        if (checked && moved > room - word.length()) [[unlikely]]
          return false;
        offset += static_cast<std::uint32_t>(moved);
      }
      Ring::update(shared[i], {word.value + tag}, offset);
    } else {
      Ring::update_word(shared[i], {word.value + tag});
    }
    sum += word.value;
    return true;
  });
  return Written::of(written, sum);
}

// As a server: length and NEXT are this side's to say; region and offset stay as the client posted them.
template <bool alike, class Source>
RawTx::Written RawTx::write_as_server(std::uint16_t first, std::size_t count, std::size_t from,
                                      Source source) noexcept {
  constexpr std::uint64_t region_bits = 0xffff0000;
  wire::Descriptor* const shared = ring_.descriptor(first);
  const std::size_t slot = ring_.slot(first);
  const std::uint64_t* const posted = posted_ + slot;
  const std::uint64_t bound_of_alike = bound(alike_), tag_of_alike = alike_.tag();
  std::uint64_t sum = 0;
  const std::size_t written = detail::run_of(count, [&](std::size_t i) {
    const std::uint64_t limit = alike ? bound_of_alike : posted[i];
    const DescriptorWord word = source.word(from + i);
    // An empty part wraps round to beyond any bound.
    if (!in_place(source, from + i, slot + i) || (checked && word.value - DescriptorWord::of(1).value > limit))
        [[unlikely]]
      return false;
    Ring::store_word(shared[i], {word.value + (alike ? tag_of_alike : limit & region_bits)});
    sum += word.value;
    return true;
  });
  return Written::of(written, sum);
}

inline RawTx::Published RawTx::commit(Written written) noexcept {
  const std::size_t packets = written.buffers - written.continued;
  next_ = static_cast<std::uint16_t>(next_ + written.buffers);
  alike_ahead_ -= std::min<std::size_t>(alike_ahead_, written.buffers);
  if (ring_.publish_to_receiver(next_)) notify();
  TxCounters& counters = counters_;
  counters.packets.add(packets);
  counters.bytes.add(written.bytes);
  counters.bursts.add(1);
  if (detail::tx_burst_is_watched()) [[unlikely]]
    detail::probe_tx_burst(&owner_, index_, packets, written.bytes);
  return {written.buffers, packets};
}

}  // namespace memif

#include <memif/detail/tx_chains.hpp>
