// Receive queues, and the bursts of packets that they hand out.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <memif/config.hpp>
#include <memif/detail/raw_rx.hpp>
#include <memif/packet.hpp>
#include <memif/stats.hpp>

namespace memif {

class Wait;
namespace detail {
struct WaitLimits;
}

// The receiving side of one ring: Interface::rx(). Any thread may use a queue, but only one at a time; no control
// thread is needed meanwhile. wake(), set_mode(), mode(), event_fd() and counters() are for any thread at any time.
// Nothing here throws, but event_fd() may.
//
// While the link is down a queue yields nothing. It picks up a new link by itself, at its next call.
class MEMIF_VARIANT RxQueue {
 public:
  // Takes whole packets in up to buffers.size() buffers, in place, without waiting; the burst is empty if there are
  // none. The packets' buffers go back to the peer when the burst ends; with several bursts alive, when the last of
  // them ends. A packet of more buffers than the array has is dropped, and so is one of more bytes than
  // InterfaceConfig::max_packet: see RxCounters. `buffers` must live as long as the burst.
  RxBurst receive(std::span<Buffer> buffers) noexcept;

  // Client of a pool: takes the buffers of a received packet out of the queue, and puts free ones of the pool in their
  // places. The packet, one of a burst that has not ended, can be looked at on through either; it is not to be
  // forwarded with its burst. Empty, and nothing has changed, if the interface has no pool, the pool has none free or
  // as many kept as it allows, or the packet is of a former link or has more than 64 buffers.
  KeptPacket keep(const Packet& packet) noexcept;

  // True if receive() would return something, as of the peer's present index.
  bool pending() noexcept { return raw_.pending(); }

  // Waits until receive() has something to return, the link changes, somebody calls wake(), or `timeout` is over
  // (negative: without end). The queue's mode says how it waits. True if receive() has something
  // to return.
  bool wait(std::chrono::nanoseconds timeout) noexcept { return raw_.wait(timeout); }

  // Coroutines (memif/coroutine.hpp), on the control thread: co_await ready() waits as wait() does, with the context.
  // `limits`: a time-out, a std::stop_token, or both.
  template <class... Limits>
  Wait ready(const Limits&... limits) noexcept;

  // Ends the present wait(), or the next that has nothing to return, once; makes event_fd() readable. From any thread,
  // at any time, and from signal handlers.
  void wake() noexcept { raw_.wake(); }

  // A descriptor for a loop of the application's own, to be waited for and nothing else. It is readable when packets
  // have come after an arm(), and when a link has come or gone, until disarm(): call that, receive() until there is
  // nothing, and arm(), until this returns true. One for all links, valid as long as the queue; never -1. The first
  // call throws an Exception if the process can open no more descriptors: it takes two.
  int event_fd();

  // arm() asks the peer for an interrupt and returns true if it is then safe to sleep on event_fd(); false if packets
  // are waiting, and nothing was armed. disarm() asks for none, and makes event_fd() unreadable.
  bool arm() noexcept { return raw_.arm(); }
  void disarm() noexcept { raw_.disarm(); }

  // Whether the queue has a link. Picks up a new one if there is one.
  bool up() noexcept { return raw_.renew(); }

  // The new mode takes effect at the queue's next call, also in a wait() that is going on.
  void set_mode(RxMode mode) noexcept { raw_.set_mode(mode); }
  RxMode mode() const noexcept { return raw_.mode(); }

  // The counters, over all links. Valid as long as the queue.
  const RxCounters& counters() const noexcept { return raw_.counters(); }

  // The same queue in parts: memif/raw.hpp.
  RawRx& raw() noexcept { return raw_; }

 private:
  friend class detail::Queues;
  RxQueue(detail::Queues& owner, std::uint16_t index, const InterfaceConfig& config, RxCounters* published) noexcept
      : raw_(owner, index, config, published) {}

  Wait ready_within(detail::WaitLimits&& limits) noexcept;

  RawRx raw_;
};

// Packets taken from a queue. A burst ends when it is destroyed or release()d: the buffers go back to the peer. Once
// its queue has taken another link, by whatever call, a burst has no packets. Only the thread that uses the queue may
// use its bursts.
class MEMIF_VARIANT RxBurst {
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

  // Ends the burst; it is empty then.
  void release() noexcept {
    if (queue_ != nullptr) std::exchange(queue_, nullptr)->end_burst(epoch_);
    buffers_ = {};
    packets_ = 0;
  }

  bool empty() const noexcept { return size() == 0; }
  std::size_t size() const noexcept { return current() ? packets_ : 0; }  // packets
  std::span<Buffer> buffers() const noexcept { return current() ? buffers_ : std::span<Buffer>(); }

  // Its packets, in the order in which they were sent.
  PacketIterator begin() const noexcept { return PacketIterator(buffers().data()); }
  PacketIterator end() const noexcept { return PacketIterator(buffers().data() + buffers().size()); }

 private:
  friend class RxQueue;
  friend class TxQueue;

  RxBurst(RawRx* queue, std::span<Buffer> buffers, std::size_t packets) noexcept
      : queue_(queue), buffers_(buffers), packets_(packets), epoch_(queue->epoch()) {}

  bool current() const noexcept { return queue_ != nullptr && epoch_ == queue_->epoch(); }

  // Removes the first `packets` packets from the caller's view. Their buffers go back with the others.
  void take_out(std::size_t packets) noexcept {
    std::size_t buffers = 0;
    packets_ -= packets;
    while (packets != 0) packets -= buffers_[buffers++].more() ? 0 : 1;
    buffers_ = buffers_.subspan(buffers);
  }

  RawRx* queue_ = nullptr;
  std::span<Buffer> buffers_;
  std::size_t packets_ = 0;
  std::uint32_t epoch_ = 0;
};

inline RxBurst RxQueue::receive(std::span<Buffer> buffers) noexcept {
  Buffer* const to = buffers.data();
  const auto fill = [to](std::size_t i, std::byte* data, DescriptorWord word, std::uint32_t, std::size_t slot) {
    to[i] = Buffer::received(data, word, slot);
  };
  const RawRx::Taken taken = raw_.take(buffers.size(), fill);
  if (taken.buffers == 0) return {};
  raw_.begin_burst();
  return {&raw_, buffers.first(taken.buffers), taken.packets};
}

}  // namespace memif
