// Transmitting as a server: into the buffers that the client posted. Included by tx_queue.hpp.
#pragma once

#include <memif/tx_queue.hpp>

namespace memif {

// As a server: the buffers are those that the client posted, where its descriptors say. Each descriptor is copied once,
// checked, and remembered, for publish() to go by: the usual ones by their number, others one by one in posted_.
template <class Sink>
std::size_t TxQueue::reserve_posted(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                                    Sink sink) noexcept {
  const std::size_t wanted = std::min(packets, max);
  const std::size_t taken = reserve_posted_run(after, find_free(after, wanted), size, 0, sink);
  return taken == wanted ? taken : reserve_posted_rest(packets, size, max, after, taken, sink);
}

// The rest of a burst that was not one run: the array's end was between, or a buffer that no run takes.
template <class Sink>
std::size_t TxQueue::reserve_posted_rest(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                                         std::size_t used, Sink sink) noexcept {
  const std::uint16_t front = next_;
  packets -= used;
  std::size_t room = std::min(max, free_after(after));
  bool unusual = used == 0 || slot(after + used) != 0;
  while (packets != 0) {
    if (!unusual) {
      const std::size_t taken = reserve_posted_run(after + used, std::min(packets, room - used), size, used, sink);
      used += taken;
      packets -= taken;
      unusual = slot(after + used) != 0;
      if (taken != 0) continue;
    }
    const std::size_t parts = used == room ? 0 : reserve_posted_packet(after + used, room - used, size, used, sink);
    unusual = false;
    if (parts != 0) {
      used += parts;
      --packets;
      continue;
    }
    if (next_ != front) break;  // slots went back: the burst would count from one that is no more
    // No room for a whole packet, as far as we know: the peer may have posted more by now.
    const std::size_t known = room;
    if (room < max && look()) room = std::min(max, free_after(after));
    if (room == known) {
      if (room < max) counters_.ring_full.add(1);
      break;
    }
  }
  return used;
}

// Packets of one buffer each, in slots one after the other, up to the first that is no such packet. Nearly all posted
// descriptors are alike but for their offsets, so one comparison with one found good checks all else.
template <class Sink>
std::size_t TxQueue::reserve_posted_run(std::size_t after, std::size_t count, std::uint32_t size, std::size_t at,
                                        Sink sink) noexcept {
  const RawDescriptor usual{usual_, 0};
  if (usual.length() < size || after > usual_ahead_) return 0;
  const auto first = static_cast<std::uint16_t>(next_ + after);
  count = std::min(count, std::size_t{ring_.until_end(first)});
  wire::Descriptor* const shared = ring_.descriptor(first);
  const std::size_t slot = ring_.slot(first);
  std::byte* const base = view_.base;
  const std::uint64_t last_offset = view_.size - usual.length();
  const std::size_t taken = detail::run_of(count, [&](std::size_t i) {
    const RawDescriptor descriptor = Ring::load(shared[i]);
    if (descriptor.word0 != usual.word0 || (checked && descriptor.offset > last_offset)) [[unlikely]]
      return false;
    sink(at + i, base + descriptor.offset, Extent::of(size), usual.length(), slot + i);
    return true;
  });
  usual_ahead_ = std::max(usual_ahead_, after + taken);
  return taken;
}

// One packet over posted buffers of any size in any region. A buffer that cannot be used ends the burst before the
// packet; at the front of the ring, where nothing precedes it, not even a part that is held, the slots up to it go back
// empty instead.
template <class Sink>
std::size_t TxQueue::reserve_posted_packet(std::size_t after, std::size_t max, std::uint32_t size, std::size_t at,
                                           Sink sink) noexcept {
  const auto first = static_cast<std::uint16_t>(next_ + after);
  forget_usual();
  std::size_t parts = 0;
  for (std::uint32_t left = size; left != 0; ++parts) {
    if (parts == max) return 0;
    const auto index = static_cast<std::uint16_t>(first + parts);
    const RawDescriptor descriptor = ring_.load(index);
    std::byte* const data = resolve(descriptor);
    if (data == nullptr) {
      if (first == next_ && held() == 0) give_back(static_cast<std::uint16_t>(index + 1));
      return 0;
    }
    const std::uint32_t capacity = std::min(descriptor.length(), max_part);
    const std::uint32_t length = std::min(left, capacity);
    left -= length;
    posted_[ring_.slot(index)] = bound(RawDescriptor::make_word0(descriptor.tag(), capacity));
    sink(at + parts, data, Extent::of(length, left != 0), capacity, std::size_t{ring_.slot(index)});
  }
  return parts;
}

// As a server: length and NEXT are this side's to say; region and offset stay as the client posted them.
template <bool usual, class Source>
TxQueue::Written TxQueue::write_posted(std::uint16_t first, std::size_t count, std::size_t from,
                                       Source source) noexcept {
  constexpr std::uint64_t region_bits = 0xffff0000;
  wire::Descriptor* const shared = ring_.descriptor(first);
  const std::size_t slot = ring_.slot(first);
  const std::uint64_t* const posted = posted_ + slot;
  const std::uint64_t usual_bound = bound(usual_), usual_tag = RawDescriptor{usual_, 0}.tag();
  std::uint64_t sum = 0;
  const std::size_t written = detail::run_of(count, [&](std::size_t i) {
    const std::uint64_t limit = usual ? usual_bound : posted[i];
    const Extent extent = source.extent(from + i);
    // An empty part wraps round to beyond any bound.
    if (!in_place(source, from + i, slot + i) || (checked && extent.word - Extent::of(1).word > limit)) [[unlikely]]
      return false;
    Ring::store_word0(shared[i], extent.word + (usual ? usual_tag : limit & region_bits));
    sum += extent.word;
    return true;
  });
  return {static_cast<std::uint32_t>(written), static_cast<std::uint32_t>(sum), sum >> 32};
}

}  // namespace memif
