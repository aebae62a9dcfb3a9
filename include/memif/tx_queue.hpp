// Transmitting: a packet's way from the application to the ring.
#pragma once

#include <algorithm>
#include <span>

#include <memif/queue_base.hpp>
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

  // Sends received packets on. Where both queues belong to one link of a client, their buffers change places and no
  // byte is copied; else they are copied. Returns the packets sent, from the first; the burst stays alive either way.
  std::size_t forward(RxBurst& burst) noexcept;

  // Allocates, copies and sends one packet; false if there is no room.
  bool send_copy(std::span<const std::byte> packet) noexcept;

  const TxCounters& counters() const noexcept { return counters_; }

  // --- The same in parts, for language bindings. ---

  struct Outgoing {
    std::byte* data;
    std::uint32_t length;
    bool more;
  };

  // Shows free buffers for up to `packets` packets of `size` bytes, in at most `max` buffers, beginning `after` buffers
  // beyond the next to be sent: sink(i, data, length, capacity, slot, more). Returns the buffers shown, whole packets.
  template <class Sink>
  std::size_t reserve(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                      Sink&& sink) noexcept;

  struct Published {
    std::size_t buffers = 0;
    std::size_t packets = 0;
  };

  // Publishes the next `count` buffers as source(i) -> Outgoing describes them, whole packets only. Stops before the
  // first packet that has an empty part or one outside its buffer. `data` may have moved forward in its buffer
  // (client).
  template <class Source>
  Published publish(std::size_t count, Source&& source) noexcept;

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

  // The slot `after` slots beyond the next to be sent.
  std::uint16_t slot(std::size_t after) const noexcept { return ring_.slot(static_cast<std::uint16_t>(next_ + after)); }
  std::uint32_t ring_size() const noexcept { return ring_.size(); }

  std::uint32_t epoch() const noexcept { return epoch_; }

 private:
  friend class TxBurst;
  friend class detail::Port;

  TxQueue(detail::Port& port, std::uint16_t index) noexcept;

  static auto filler(Buffer* to) noexcept {
    return [to](std::size_t i, std::byte* data, std::uint32_t length, std::uint32_t capacity, std::uint16_t slot,
                bool more) {
      Buffer& buffer = to[i];
      buffer.data_ = data;
      buffer.length_ = length;
      buffer.capacity_ = capacity;
      buffer.slot_ = slot;
      buffer.more_ = more;
    };
  }

  void refresh() noexcept;
  std::size_t free_after(std::size_t after, std::size_t wanted) noexcept;
  bool look() noexcept;
  void notify() noexcept;
  void give_back(std::uint16_t end) noexcept;
  std::size_t forward_exchanged(RxBurst& burst) noexcept;
  std::size_t forward_copied(RxBurst& burst) noexcept;
  template <class Sink>
  std::size_t reserve_own(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                          Sink& sink) noexcept;
  template <class Sink>
  std::size_t reserve_posted(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                             Sink& sink) noexcept;
  template <class Sink>
  std::size_t reserve_posted_packet(std::uint16_t first, std::uint32_t size, std::size_t max, std::size_t before,
                                    Sink& sink) noexcept;
  template <class Source>
  std::size_t write_own(std::size_t count, Source& source, std::uint64_t& bytes) noexcept;
  template <class Source>
  std::size_t write_posted(std::size_t count, Source& source, std::uint64_t& bytes) noexcept;
  std::byte* resolve(const RawDescriptor& descriptor) noexcept;

  std::uint16_t limit_offset_ = 0;   // client: the ring size, since a slot is free once the peer has passed it
  std::uint32_t own_tag_ = 0;        // client: region of its buffers, no flags
  std::uint64_t* posted_ = nullptr;  // server: word0 of each posted descriptor as it was read and checked
  TxCounters counters_;
};

// Packets being prepared. Dropping it sends nothing and loses nothing.
class TxBurst {
 public:
  // Adds a packet of `size` bytes; false if the array or the ring has no room for it. The new packet is back().
  bool add(std::uint32_t size) noexcept {
    Buffer* const to = buffers_.data() + used_;
    const std::size_t n = queue_->reserve(1, size, buffers_.size() - used_, used_, TxQueue::filler(to));
    if (n == 0 || epoch_ != queue_->epoch()) return false;
    last_ = used_;
    used_ += n;
    ++packets_;
    return true;
  }

  Packet back() const noexcept { return Packet(buffers_.subspan(last_, used_ - last_)); }
  bool empty() const noexcept { return packets_ == 0; }
  std::size_t size() const noexcept { return packets_; }  // packets
  std::span<Buffer> buffers() const noexcept { return buffers_.first(used_); }
  PacketIterator begin() const noexcept { return PacketIterator(buffers_.data()); }
  PacketIterator end() const noexcept { return PacketIterator(buffers_.data() + used_); }

  std::size_t send() noexcept { return queue_->send(*this); }

 private:
  friend class TxQueue;
  TxBurst(TxQueue* queue, std::span<Buffer> buffers, std::uint32_t epoch) noexcept
      : queue_(queue), buffers_(buffers), epoch_(epoch) {}

  TxQueue* queue_;
  std::span<Buffer> buffers_;
  std::size_t used_ = 0;
  std::size_t packets_ = 0;
  std::size_t last_ = 0;
  std::uint32_t epoch_;
};

// ---------------------------------------------------------------------------------------------------------------------

inline TxBurst TxQueue::allocate(std::span<Buffer> buffers, std::uint32_t size, std::size_t packets) noexcept {
  TxBurst burst = begin(buffers);
  burst.used_ = reserve(packets, size, buffers.size(), 0, filler(buffers.data()));
  burst.packets_ =
      size <= buffer_size_ ? burst.used_ : static_cast<std::size_t>(std::distance(burst.begin(), burst.end()));
  return burst;
}

inline TxBurst TxQueue::begin(std::span<Buffer> buffers) noexcept {
  if (attention()) [[unlikely]]
    refresh();
  return {this, buffers, epoch_};
}

inline std::size_t TxQueue::send(TxBurst& burst) noexcept {
  const std::size_t packets = std::exchange(burst.packets_, 0);
  const Buffer* const buffers = burst.buffers_.data();
  const std::size_t used = std::exchange(burst.used_, 0);
  if (attention()) [[unlikely]]
    refresh();
  if (burst.epoch_ != epoch_) [[unlikely]] {
    counters_.rejected.add(packets);
    return 0;
  }
  const auto source = [buffers](std::size_t i) {
    return Outgoing{buffers[i].data_, buffers[i].length_, buffers[i].more_};
  };
  return publish(used, source).packets;
}

// Free slots beyond `after`, looking at the peer's index only if the private copy has fewer than wanted.
inline std::size_t TxQueue::free_after(std::size_t after, std::size_t wanted) noexcept {
  std::size_t free = static_cast<std::uint16_t>(limit_ - next_);
  if (free < after + wanted) {
    look();
    free = static_cast<std::uint16_t>(limit_ - next_);
  }
  return free > after ? free - after : 0;
}

inline bool TxQueue::look() noexcept {
  const auto limit = static_cast<std::uint16_t>(ring_.load_peer_index() + limit_offset_);
  const auto free = static_cast<std::uint16_t>(limit - next_);
  if (checked && (free > ring_.size() || free < static_cast<std::uint16_t>(limit_ - next_))) [[unlikely]] {
    broken("the peer's ring index is out of range");
    return false;
  }
  limit_ = limit;
  return true;
}

template <class Sink>
std::size_t TxQueue::reserve(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                             Sink&& sink) noexcept {
  if (attention()) [[unlikely]]
    refresh();
  if (!up() || size == 0) return 0;
  max = std::min<std::size_t>(max, ring_.size());
  return client_ ? reserve_own(packets, size, max, after, sink) : reserve_posted(packets, size, max, after, sink);
}

// As a client: this side's own table says where the buffers are; shared memory is not touched.
template <class Sink>
std::size_t TxQueue::reserve_own(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                                 Sink& sink) noexcept {
  const std::size_t parts = size <= buffer_size_ ? 1 : (size + buffer_size_ - 1) / buffer_size_;
  packets = std::min(packets, parts == 1 ? max : max / parts);
  const std::size_t free = free_after(after, packets * parts);
  if (free < packets * parts) {
    counters_.ring_full.add(1);
    packets = free / parts;
  }
  const auto first = static_cast<std::uint16_t>(next_ + after);
  if (parts == 1) {
    for (std::size_t i = 0; i < packets; ++i) {
      const std::uint16_t slot = ring_.slot(static_cast<std::uint16_t>(first + i));
      sink(i, base_ + offsets_[slot], size, buffer_size_, slot, false);
    }
    return packets;
  }
  std::size_t i = 0;
  for (; packets != 0; --packets) {
    for (std::uint32_t left = size; left != 0; ++i) {
      const std::uint16_t slot = ring_.slot(static_cast<std::uint16_t>(first + i));
      const std::uint32_t length = std::min(left, buffer_size_);
      left -= length;
      sink(i, base_ + offsets_[slot], length, buffer_size_, slot, left != 0);
    }
  }
  return i;
}

// As a server: the buffers are those that the client posted, where its descriptors say. Each descriptor is copied once,
// checked, and remembered, for publish() to go by.
template <class Sink>
std::size_t TxQueue::reserve_posted(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                                    Sink& sink) noexcept {
  std::size_t room = std::min(max, free_after(after, std::min(packets, max)));
  const auto first = static_cast<std::uint16_t>(next_ + after);
  std::size_t used = 0;
  while (packets != 0) {
    const std::size_t run = std::min(packets, room - used);
    std::size_t i = 0;
    for (; i < run; ++i) {
      const auto index = static_cast<std::uint16_t>(first + used + i);
      const RawDescriptor descriptor = ring_.load(index);
      const std::uint32_t capacity = descriptor.length();
      const std::uint64_t offset = descriptor.offset();
      if (descriptor.tag() != tag_ || capacity < size || (checked && offset + capacity > view_.size)) [[unlikely]]
        break;
      const std::uint16_t slot = ring_.slot(index);
      posted_[slot] = descriptor.word0;
      sink(used + i, view_.base + offset, size, capacity, slot, false);
    }
    used += i;
    packets -= i;
    if (packets == 0) break;
    if (i != run) {
      const std::size_t parts =
          reserve_posted_packet(static_cast<std::uint16_t>(first + used), size, room - used, used, sink);
      used += parts;
      if (parts != 0) {
        --packets;
        continue;
      }
    }
    // No room for a whole packet, as far as we know: the peer may have posted more by now.
    const std::size_t known = room;
    if (room < max) room = std::min(max, free_after(after, room + 1));
    if (room == known) {
      if (room < max) counters_.ring_full.add(1);
      break;
    }
  }
  return used;
}

// One packet over posted buffers of any size in any region. A buffer that cannot be used ends the burst before the
// packet; at the front of the ring, where nothing precedes it, the slots up to it go back empty instead.
template <class Sink>
std::size_t TxQueue::reserve_posted_packet(std::uint16_t first, std::uint32_t size, std::size_t max, std::size_t before,
                                           Sink& sink) noexcept {
  std::size_t parts = 0;
  for (std::uint32_t left = size; left != 0; ++parts) {
    if (parts == max) return 0;
    const auto index = static_cast<std::uint16_t>(first + parts);
    const RawDescriptor descriptor = ring_.load(index);
    std::byte* const data = resolve(descriptor);
    if (data == nullptr) {
      if (first == next_) give_back(static_cast<std::uint16_t>(index + 1));
      return 0;
    }
    const std::uint32_t length = std::min(left, descriptor.length());
    left -= length;
    posted_[ring_.slot(index)] = descriptor.word0;
    sink(before + parts, data, length, descriptor.length(), ring_.slot(index), left != 0);
  }
  return parts;
}

template <class Source>
TxQueue::Published TxQueue::publish(std::size_t count, Source&& source) noexcept {
  std::uint64_t bytes = 0;
  const std::size_t free = static_cast<std::uint16_t>(limit_ - next_);
  std::size_t written = std::min(count, free);
  written = client_ ? write_own(written, source, bytes) : write_posted(written, source, bytes);
  std::size_t packets = 0;
  if (written != count) [[unlikely]] {
    counters_.rejected.add(1);
    while (written != 0 && source(written - 1).more) bytes -= source(--written).length;
  }
  for (std::size_t i = 0; i < written; ++i) packets += source(i).more ? 0 : 1;
  if (written == 0) return {};

  next_ = static_cast<std::uint16_t>(next_ + written);
  if (ring_.publish_to_receiver(next_)) notify();
  counters_.packets.add(packets);
  counters_.bytes.add(bytes);
  counters_.bursts.add(1);
  return {written, packets};
}

// As a client: the whole descriptor is this side's. Fields that already hold their value are left alone.
template <class Source>
std::size_t TxQueue::write_own(std::size_t count, Source& source, std::uint64_t& bytes) noexcept {
  std::size_t i = 0;
  for (; i < count; ++i) {
    const Outgoing out = source(i);
    const auto index = static_cast<std::uint16_t>(next_ + i);
    const auto offset = static_cast<std::uint64_t>(out.data - base_);
    // An empty part wraps round to more than any buffer has; so does data before the buffer's start.
    if (checked && (out.length - 1 >= buffer_size_ || offset - offsets_[ring_.slot(index)] > buffer_size_ - out.length))
        [[unlikely]]
      break;
    ring_.update(index, RawDescriptor::make_word0(own_tag_ | (out.more ? wire::descriptor_flag_next : 0u), out.length),
                 offset);
    bytes += out.length;
  }
  return i;
}

// As a server: length and NEXT are this side's to say; region and offset stay as the client posted them.
template <class Source>
std::size_t TxQueue::write_posted(std::size_t count, Source& source, std::uint64_t& bytes) noexcept {
  std::size_t i = 0;
  for (; i < count; ++i) {
    const Outgoing out = source(i);
    const auto index = static_cast<std::uint16_t>(next_ + i);
    const RawDescriptor posted{posted_[ring_.slot(index)], 0};
    if (checked && out.length - 1 >= posted.length()) [[unlikely]]
      break;
    const std::uint64_t word0 =
        RawDescriptor::make_word0(RawDescriptor::make_tag(posted.region(), out.more), out.length);
    if (word0 != posted.word0) ring_.store_word0(index, word0);
    bytes += out.length;
  }
  return i;
}

}  // namespace memif
