// Transmit queues, and the bursts of packets that are prepared for them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <memif/detail/raw_tx.hpp>
#include <memif/packet.hpp>
#include <memif/rx_queue.hpp>
#include <memif/stats.hpp>

namespace memif {

// The transmitting side of one ring: Interface::tx(). Any thread may use a queue, but only one at a time; no control
// thread is needed meanwhile. wake() and counters() are for any thread at any time. Nothing here throws.
//
// Allocating claims nothing: it shows the free buffers that the next send() will use, so buffers that are not sent need
// not be given back. While the link is down there are none.
class MEMIF_VARIANT TxQueue {
 public:
  // As many packets of `size` bytes as the array has buffers for and the ring has free slots for, at most `packets`;
  // none for a `size` of 0 or beyond RawTx::max_packet. Packets longer than a buffer are chains. Fill them, resize()
  // them if need be, send them. `buffers` must live as long as the burst.
  TxBurst allocate(std::span<Buffer> buffers, std::uint32_t size, std::size_t packets = ~std::size_t{0}) noexcept;

  // An empty burst to which packets of different sizes are added: TxBurst::add(). `buffers` must live as long as the
  // burst.
  TxBurst begin(std::span<Buffer> buffers) noexcept;

  // Publishes the burst and returns the number of packets sent: all; those before the first packet with an empty
  // buffer, if there is one; or 0 for a burst of a former link. In the last two cases `rejected` counts. The burst is
  // empty then.
  std::size_t send(TxBurst& burst) noexcept;

  // Sends received packets on, in order, as long as there are free slots, and takes them out of the burst: the
  // remaining ones can be forwarded later. Where both queues belong to one link of a client, or to clients of
  // one Pool, buffers change places and no byte is copied; else packets are copied. A packet that can never be sent (it
  // takes more than 64 buffers here, or more than the ring has) is taken out as well, and counted as `rejected`.
  // Returns the number of packets sent. The burst still ends by itself.
  std::size_t forward(RxBurst& burst) noexcept;

  // Allocates, copies and sends one packet, in at most 64 buffers; false if there are too few free slots, or the packet
  // is empty.
  bool send_copy(std::span<const std::byte> packet) noexcept;

  // Sends a kept packet: its buffers change places with those of free slots, or, if this queue's interface is not of
  // their pool, it is copied. It is empty then. False, and it is as before, if there are too few free slots, or one of
  // its buffers has no bytes.
  bool send(KeptPacket& packet) noexcept;

  // The number of free slots, as of the peer's present index.
  std::size_t room() noexcept { return raw_.room(); }

  // Waits until so many slots are free (more than the ring has: all of them), the link goes, somebody calls wake(), or
  // `timeout` is over (negative: without end). True if they are free. While the link is down it waits for one, too.
  // Nobody tells of slots that become free. As InterfaceConfig::rx_mode and `spin` have it for receivers, it looks
  // again and again, for `spin` in adaptive mode; then in naps of an eighth of the time waited so far, 50 us to 10 ms.
  bool wait(std::size_t wanted, std::chrono::nanoseconds timeout) noexcept { return raw_.wait(wanted, timeout); }

  // Coroutines (memif/coroutine.hpp), on the control thread: co_await room(wanted) waits as wait() does, with the
  // context.
  // `limits`: a time-out, a std::stop_token, or both.
  template <class... Limits>
  Wait room(std::size_t wanted, const Limits&... limits) noexcept;

  // Ends the present wait(), or the next that has nothing to return, once. From any thread, at any time, and from
  // signal handlers.
  void wake() noexcept { raw_.wake(); }

  // The number of slots of its ring; 1 while there is no ring.
  std::uint32_t ring_size() const noexcept { return raw_.ring_size(); }

  // Whether the queue has a link. Picks up a new one if there is one.
  bool up() noexcept { return raw_.renew(); }

  // The counters, over all links. Valid as long as the queue.
  const TxCounters& counters() const noexcept { return raw_.counters(); }

  // The same queue in parts: memif/raw.hpp.
  RawTx& raw() noexcept { return raw_; }

 private:
  friend class detail::Queues;
  TxQueue(detail::Queues& owner, std::uint16_t index, const InterfaceConfig& config, TxCounters* published) noexcept
      : raw_(owner, index, config, published) {}

  struct Moved;
  std::size_t forward_exchanged(RxBurst& burst) noexcept;
  std::size_t forward_copied(RxBurst& burst) noexcept;
  std::size_t copy_some(RxBurst& burst) noexcept;
  bool send_exchanged(KeptPacket& packet) noexcept;
  Wait room_within(std::size_t wanted, detail::WaitLimits&& limits) noexcept;

  RawTx raw_;
};

// Packets being prepared. A burst that is destroyed unsent sends nothing and loses nothing. Once its queue has taken
// another link, by whatever call, a burst has no packets and takes none. Only the thread that uses the queue may use
// its bursts.
class MEMIF_VARIANT TxBurst {
 public:
  // Adds a packet of `size` bytes; false if the array or the ring has no space for it, `size` is 0, or the link is a
  // former one. The new packet is back().
  bool add(std::uint32_t size) noexcept {
    if (state_.used < state_.shown && current() && buffers_[state_.used].fill(size)) [[likely]] {
      ++state_.used;
      return true;
    }
    const State before = state_;
    state_ = before.used == 0 ? add_first(size) : look_ahead(*queue_, buffers_, epoch_, before, size);
    return state_.used != before.used;
  }

  // The last packet; Packet::none() if the burst is empty.
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

  // Its packets, in the order in which they are sent.
  PacketIterator begin() const noexcept { return PacketIterator(buffers_.data()); }
  PacketIterator end() const noexcept { return PacketIterator(buffers_.data() + buffers().size()); }

  // As TxQueue::send() of the burst's queue.
  std::size_t send() noexcept;

 private:
  friend class TxQueue;

  // In two words, so that it travels in registers: a loop that adds packets then stores nothing but these, and no store
  // of its own waits in the processor behind theirs.
  struct State {
    std::uint32_t used = 0;
    std::uint32_t shown = 0;  // up to here, buffers that a packet each may use are in the array already
    std::uint32_t ahead = 0;  // packets asked for last, 0 after a chain
  };

  TxBurst(RawTx* queue, std::span<Buffer> buffers, std::uint32_t epoch, std::size_t used) noexcept
      : queue_(queue), buffers_(buffers), state_{.used = static_cast<std::uint32_t>(used)}, epoch_(epoch) {}

  // A sink that makes buffers to be sent.
  static auto filler(Buffer* to) noexcept {
    return [to](std::size_t i, std::byte* data, DescriptorWord word, std::uint32_t capacity, std::size_t) {
      to[i] = Buffer::to_send(data, word, capacity);
    };
  }

  bool current() const noexcept { return epoch_ == queue_->epoch(); }
  State add_first(std::uint32_t size) noexcept {
    const std::size_t n = queue_->peek(1, size, buffers_.size(), 0, filler(buffers_.data()));
    if (n == 0 || !current()) return {};
    return {.used = static_cast<std::uint32_t>(n), .shown = static_cast<std::uint32_t>(n), .ahead = n == 1};
  }
  static State look_ahead(RawTx& queue, std::span<Buffer> buffers, std::uint32_t epoch, State state,
                          std::uint32_t size) noexcept;
  inline std::size_t send_by(RawTx& queue) noexcept;

  RawTx* queue_;
  std::span<Buffer> buffers_;
  State state_;
  std::uint32_t epoch_;
};

inline TxBurst TxQueue::allocate(std::span<Buffer> buffers, std::uint32_t size, std::size_t packets) noexcept {
  const std::size_t used = raw_.peek(packets, size, buffers.size(), 0, TxBurst::filler(buffers.data()));
  return {&raw_, buffers, raw_.epoch(), used};
}

inline TxBurst TxQueue::begin(std::span<Buffer> buffers) noexcept {
  raw_.renew();
  return {&raw_, buffers, raw_.epoch(), 0};
}

inline std::size_t TxQueue::send(TxBurst& burst) noexcept { return burst.send_by(raw_); }
inline std::size_t TxBurst::send() noexcept { return send_by(*queue_); }

inline std::size_t TxBurst::send_by(RawTx& queue) noexcept {
  // Buffers as they were handed out.
  struct Unmoved {
    const Buffer* buffers;
    DescriptorWord word(std::size_t i) const noexcept { return buffers[i].word(); }
  };
  const Buffer* const buffers = buffers_.data();
  const std::size_t used = std::exchange(state_, {}).used;
  queue.renew();
  if (epoch_ != queue.epoch()) [[unlikely]] {
    queue.count_rejected();
    return 0;
  }
  return queue.publish(used, Unmoved{buffers}).packets;
}

}  // namespace memif
