// Transmitting as a client: the buffers are this side's own, and so are the descriptors. Included by tx_queue.hpp.
#pragma once

#include <memif/tx_queue.hpp>

namespace memif {

// As a client: this side's own table says where the buffers are; shared memory is not touched.
template <class Sink>
std::size_t TxQueue::reserve_own(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                                 Sink sink) noexcept {
  if (size > buffer_size_) [[unlikely]]
    return reserve_own_chains(packets, size, max, after, sink);
  const std::size_t wanted = std::min(packets, max);
  const std::size_t count = find_free(after, wanted);
  if (count != wanted) counters_.ring_full.add(1);
  const std::size_t taken = reserve_own_run(after, count, size, 0, sink);
  if (taken != count) [[unlikely]]  // the array's end was between
    reserve_own_run(after + taken, count - taken, size, taken, sink);
  return count;
}

// Packets of one buffer each, in slots one after the other.
template <class Sink>
std::size_t TxQueue::reserve_own_run(std::size_t after, std::size_t count, std::uint32_t size, std::size_t at,
                                     Sink sink) noexcept {
  const auto first = static_cast<std::uint16_t>(next_ + after);
  const std::size_t slot = ring_.slot(first);
  const std::uint32_t* const offsets = offsets_ + slot;
  std::byte* const base = base_;
  const std::uint32_t room = buffer_size_;
  return detail::run_of(std::min<std::size_t>(count, ring_.until_end(first)), [&](std::size_t i) {
    sink(at + i, base + offsets[i], Extent::of(size), room, slot + i);
    return true;
  });
}

template <class Sink>
std::size_t TxQueue::reserve_own_chains(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                                        Sink sink) noexcept {
  const std::size_t parts = (size + buffer_size_ - 1) / buffer_size_;
  packets = std::min(packets, max / parts);
  const std::size_t free = find_free(after, packets * parts);
  if (free < packets * parts) {
    counters_.ring_full.add(1);
    packets = free / parts;
  }
  std::uint32_t left = size;
  for (std::size_t i = 0; i != packets * parts; ++i) {
    const std::size_t slot = this->slot(after + i);
    const std::uint32_t length = std::min(left, buffer_size_);
    left -= length;
    sink(i, base_ + offsets_[slot], Extent::of(length, left != 0), buffer_size_, slot);
    if (left == 0) left = size;
  }
  return packets * parts;
}

// As a client: the whole descriptor is this side's. Fields that already hold their value are left alone. The offset is
// looked at only if it ever was another than the start of the slot's buffer: until then the run ends before the first
// packet that begins elsewhere.
template <bool offsets_vary, class Source>
TxQueue::Written TxQueue::write_own(std::uint16_t first, std::size_t count, std::size_t from, Source source) noexcept {
  static_assert(wire::descriptor_flag_next == 1, "a source's more() goes into the descriptor as it is");
  wire::Descriptor* const shared = ring_.descriptor(first);
  const std::size_t slot = ring_.slot(first);
  [[maybe_unused]] const std::uint32_t* const offsets = offsets_ + slot;
  [[maybe_unused]] std::byte* const base = base_;
  const std::uint64_t tag = own_tag_;
  const std::uint32_t room = buffer_size_;
  std::uint64_t sum = 0;
  const std::size_t written = detail::run_of(count, [&](std::size_t i) {
    const Extent extent = source.extent(from + i);
    // An empty part wraps round to more than any buffer has; so does data before the buffer's start.
    if (checked && extent.word - Extent::of(1).word >= Extent::of(room).word) [[unlikely]]
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
        if (checked && moved > room - extent.length()) [[unlikely]]
          return false;
        offset += static_cast<std::uint32_t>(moved);
      }
      Ring::update(shared[i], extent.word + tag, offset);
    } else {
      Ring::update_word0(shared[i], extent.word + tag);
    }
    sum += extent.word;
    return true;
  });
  return {static_cast<std::uint32_t>(written), static_cast<std::uint32_t>(sum), sum >> 32};
}

}  // namespace memif
