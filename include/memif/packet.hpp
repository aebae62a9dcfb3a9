// Buffers and packets: views into shared memory that a queue hands out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <span>
#include <utility>

#include <memif/detail/descriptor.hpp>
#include <memif/detail/variant.hpp>

namespace memif {

class Pool;

// One buffer of shared memory, or the used part of it. It owns nothing: it is valid as long as the burst that it came
// with, and once the link has gone, until the next call of that burst's queue. The peer can write the bytes at any
// time: copy bytes that must not change between check and use.
class Buffer {
 public:
  Buffer() noexcept = default;

  std::byte* data() const noexcept { return data_; }
  std::uint32_t size() const noexcept { return word().length(); }  // bytes used
  std::span<std::byte> bytes() const noexcept { return {data_, size()}; }
  bool more() const noexcept { return word().more(); }  // the packet goes on in the next buffer

  // Bytes that may be used; of a received buffer, the bytes that came.
  std::uint32_t capacity() const noexcept { return (word_ & received_bit) != 0 ? size() : value(); }

  // Changes the number of used bytes to `length`; false, and no change, beyond the capacity.
  bool resize(std::uint32_t length) noexcept {
    if (length > capacity()) return false;
    word_ = static_cast<std::uint32_t>(word_) | DescriptorWord::of(length).value;
    return true;
  }

 private:
  friend class RxQueue;
  friend class TxBurst;
  friend class TxQueue;
  friend class KeptPacket;

  // word_ is the buffer's DescriptorWord, and in the bits that are zero there: from bit 1 "received", then the slot of
  // a received buffer or the capacity of one to be sent. A buffer is 16 bytes, and the burst loops write or read one
  // for every packet; its second half is one word because a load finds what a store left in the processor's store
  // buffer only if that store covers all of it.
  static constexpr std::uint32_t received_bit = 2;
  static constexpr unsigned value_shift = 2;
  static constexpr std::uint32_t max_capacity = ~std::uint32_t{0} >> value_shift;  // of more, the rest is not used

  static Buffer received(std::byte* data, DescriptorWord word, std::size_t slot) noexcept {
    return Buffer(data, word.value + ((slot << value_shift) + received_bit));
  }
  static Buffer to_send(std::byte* data, DescriptorWord word, std::uint32_t capacity) noexcept {
    return Buffer(data, word.value + (capacity << value_shift));
  }

  // As resize(), of one to be sent. Every part of a packet has a byte.
  bool fill(std::uint32_t length) noexcept {
    if (length - 1 >= value()) return false;  // a length of 0 wraps round
    word_ = static_cast<std::uint32_t>(word_) | DescriptorWord::of(length).value;
    return true;
  }

  Buffer(std::byte* data, std::uint64_t word) noexcept : data_(data), word_(word) {}

  DescriptorWord word() const noexcept { return {word_ & DescriptorWord::of(~std::uint32_t{0}, true).value}; }
  std::uint32_t value() const noexcept { return static_cast<std::uint32_t>(word_) >> value_shift; }
  std::uint16_t slot() const noexcept { return static_cast<std::uint16_t>(value()); }

  std::byte* data_ = nullptr;
  std::uint64_t word_ = 0;
};
static_assert(sizeof(Buffer) == 16 || sizeof(void*) != 8);

// One packet: one buffer, or a chain of them. A view, valid as long as its buffers.
class Packet {
 public:
  explicit Packet(std::span<Buffer> buffers) noexcept : buffers_(buffers) {}

  // Stands for a missing packet: one buffer without bytes and without memory, whose resize() to more fails.
  static Packet none() noexcept {
    static thread_local Buffer buffer;
    return Packet({&buffer, 1});
  }

  std::span<Buffer> buffers() const noexcept { return buffers_; }
  bool contiguous() const noexcept { return buffers_.size() == 1; }

  // The bytes of the first buffer: the whole packet if contiguous(), at least its headers otherwise.
  std::span<std::byte> bytes() const noexcept { return buffers_.front().bytes(); }
  std::byte* data() const noexcept { return buffers_.front().data(); }

  // Bytes of the whole packet.
  std::size_t size() const noexcept {
    std::size_t total = 0;
    for (const Buffer& buffer : buffers_) total += buffer.size();
    return total;
  }

  // Shortens or lengthens a packet to be sent to `size` bytes, within the buffers that it has; every buffer of a chain
  // keeps at least one byte. False, and no change, if that is not possible.
  bool resize(std::size_t size) noexcept {
    std::size_t capacity = 0;
    for (const Buffer& buffer : buffers_) capacity += buffer.capacity();
    if (size < buffers_.size() || size > capacity) return false;
    std::size_t following = buffers_.size();
    for (Buffer& buffer : buffers_) {
      --following;
      const std::size_t length = std::min<std::size_t>(buffer.capacity(), size - following);
      buffer.resize(static_cast<std::uint32_t>(length));
      size -= length;
    }
    return true;
  }

  // Copies as much as fits; returns the bytes copied. The source may overlap with the target: a peer may post buffers
  // to be filled in the memory of packets that it sent.
  std::size_t copy_to(std::span<std::byte> target) const noexcept {
    std::size_t done = 0;
    for (const Buffer& buffer : buffers_) {
      const std::size_t n = std::min<std::size_t>(buffer.size(), target.size() - done);
      std::memmove(target.data() + done, buffer.data(), n);
      done += n;
    }
    return done;
  }
  std::size_t copy_from(std::span<const std::byte> source) const noexcept {
    std::size_t done = 0;
    for (const Buffer& buffer : buffers_) {
      const std::size_t n = std::min<std::size_t>(buffer.size(), source.size() - done);
      std::memmove(buffer.data(), source.data() + done, n);
      done += n;
    }
    return done;
  }

 private:
  std::span<Buffer> buffers_;
};

// A packet that was taken out of a queue, to be sent later or never: RxQueue::keep(), TxQueue::send(). Its buffers are
// a pool's, and go back to it with the object. Any thread may have it, one at a time; it may outlive its queue. The
// peers of the pool can write its bytes at any time.
class KeptPacket {
 public:
  KeptPacket() noexcept = default;
  KeptPacket(KeptPacket&& other) noexcept;
  KeptPacket& operator=(KeptPacket&& other) noexcept;
  ~KeptPacket() { give_back(); }

  bool empty() const noexcept { return count_ == 0; }

  // Packet::none() if it is empty. Valid until it is sent, moved or destroyed.
  Packet packet() const noexcept { return empty() ? Packet::none() : Packet({buffers_.get(), count_}); }

  // Gives its buffers back; it is empty then.
  void give_back() noexcept;

 private:
  friend class RxQueue;
  friend class TxQueue;

  // Of more buffers no packet is kept.
  static constexpr std::size_t max_buffers = 64;

  std::shared_ptr<Pool> pool_;
  std::unique_ptr<Buffer[]> buffers_;
  std::size_t count_ = 0;
};

// Walks the packets in an array of buffers.
class PacketIterator {
 public:
  using value_type = Packet;
  using difference_type = std::ptrdiff_t;
  using iterator_concept = std::forward_iterator_tag;

  PacketIterator() noexcept = default;
  explicit PacketIterator(Buffer* at) noexcept : at_(at) {}

  Packet operator*() const noexcept { return Packet({at_, end()}); }
  PacketIterator& operator++() noexcept {
    at_ = end();
    return *this;
  }
  PacketIterator operator++(int) noexcept {
    PacketIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const PacketIterator&) const noexcept = default;

 private:
  // Queues hand out whole packets only, so the last buffer of a chain is in the array.
  Buffer* end() const noexcept {
    Buffer* last = at_;
    while (last->more()) ++last;
    return last + 1;
  }

  Buffer* at_ = nullptr;
};

}  // namespace memif
