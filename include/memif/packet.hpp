// Buffers and packets: views into shared memory that a queue hands out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <span>

namespace memif {

class RxQueue;
class TxQueue;

// One buffer of shared memory, or the used part of it. Does not own anything: valid while the burst that it came with.
// The peer can write the bytes at any time: copy what must not change between check and use.
class Buffer {
 public:
  Buffer() noexcept = default;

  std::byte* data() const noexcept { return data_; }
  std::uint32_t size() const noexcept { return length_; }  // bytes used
  std::span<std::byte> bytes() const noexcept { return {data_, size()}; }
  bool more() const noexcept { return (meta_ & more_bit) != 0; }  // the packet goes on in the next buffer

  // Bytes that may be used: those of a received buffer are those that came.
  std::uint32_t capacity() const noexcept { return (meta_ & received_bit) != 0 ? length_ : value(); }

  // Changes the number of used bytes; false, and no change, beyond the capacity.
  bool resize(std::uint32_t length) noexcept {
    if (length > capacity()) return false;
    length_ = length;
    return true;
  }

 private:
  friend class RxQueue;
  friend class TxQueue;

  // word_, from bit 0: "more", "received", then the slot of a received buffer or the capacity of one to be sent, and
  // the length in the upper half. Length and "more" are where a descriptor has them, and a buffer is 16 bytes: the
  // burst loops write or read one for every packet.
  static constexpr std::uint32_t more_bit = 1;
  static constexpr std::uint32_t received_bit = 2;
  static constexpr unsigned value_shift = 2;
  static constexpr std::uint32_t max_capacity = ~std::uint32_t{0} >> value_shift;  // of more, the rest is not used

  static Buffer received(std::byte* data, std::uint32_t length, std::uint32_t slot, bool more) noexcept {
    return Buffer(data, length, (slot << value_shift) + received_bit + (more ? more_bit : 0));
  }
  static Buffer to_send(std::byte* data, std::uint32_t length, std::uint32_t capacity, bool more) noexcept {
    return Buffer(data, length, (capacity << value_shift) + (more ? more_bit : 0));
  }

  Buffer(std::byte* data, std::uint32_t length, std::uint32_t meta) noexcept
      : data_(data), length_(length), meta_(meta) {}

  std::uint32_t value() const noexcept { return meta_ >> value_shift; }
  std::uint16_t slot() const noexcept { return static_cast<std::uint16_t>(value()); }

  std::byte* data_ = nullptr;
  std::uint32_t length_ = 0;
  std::uint32_t meta_ = 0;
};
static_assert(sizeof(Buffer) == 16 || sizeof(void*) != 8);

// One packet: one buffer, or a chain of them.
class Packet {
 public:
  explicit Packet(std::span<Buffer> buffers) noexcept : buffers_(buffers) {}

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

  // Shortens or lengthens a packet to be sent, within the buffers that it has; every buffer of a chain keeps at least
  // one byte. False, and no change, if that cannot be.
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

  // Copies as much as fits; returns the bytes copied.
  std::size_t copy_to(std::span<std::byte> target) const noexcept {
    std::size_t done = 0;
    for (const Buffer& buffer : buffers_) {
      const std::size_t n = std::min<std::size_t>(buffer.size(), target.size() - done);
      std::memcpy(target.data() + done, buffer.data(), n);
      done += n;
    }
    return done;
  }
  std::size_t copy_from(std::span<const std::byte> source) const noexcept {
    std::size_t done = 0;
    for (const Buffer& buffer : buffers_) {
      const std::size_t n = std::min<std::size_t>(buffer.size(), source.size() - done);
      std::memcpy(buffer.data(), source.data() + done, n);
      done += n;
    }
    return done;
  }

 private:
  std::span<Buffer> buffers_;
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
