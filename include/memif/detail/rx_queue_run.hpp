// Receiving: the loops over what nearly all packets are. Included by rx_queue.hpp.
#pragma once

#include <memif/rx_queue.hpp>

namespace memif {

// As a server: the client's descriptors say where its packets are. The loop is for what nearly all packets are: one
// buffer, in the same region as the last. Region and flags are compared at once, then the bounds; all else is
// take_packet()'s.
//
// A run is a function of its own, and copies what it needs of the queue, so that its loop lives in registers: the
// compiler cannot know that what the sink writes is no part of the queue.
template <class Sink>
RxQueue::Run RxQueue::run_from_client(std::uint16_t first, std::size_t count, std::size_t at, Sink sink) noexcept {
  wire::Descriptor* const shared = ring_.descriptor(first);
  const std::size_t slot = ring_.slot(first);
  const std::uint64_t tag = tag_;
  const detail::RegionView view = view_;
  const std::uint64_t longest = checked ? single_limit_ : Extent::longest;
  std::uint64_t bytes = 0;
  const std::size_t taken = detail::run_of(count, [&](std::size_t i) {
    const RawDescriptor descriptor = Ring::load(shared[i]);
    const Extent extent{descriptor.word0 - tag};
    const std::uint64_t length = extent.length_if_whole();
    const std::uint64_t offset = descriptor.offset;
    const std::uint64_t last = length - 1;
    if (last >= longest || (checked && offset + last >= view.size)) [[unlikely]]
      return false;
    sink(at + i, view.base + offset, extent, static_cast<std::uint32_t>(length), slot + i);
    bytes += length;
    return true;
  });
  return {taken, bytes};
}

// As a client: the packets are where this side posted buffers; of the descriptor only length and NEXT are the server's
// to say. The slot is this side's own until it is posted again, so what the server changed is put right at once. A
// server that changed the region as well is not believed, but served by take_packet().
template <class Sink>
RxQueue::Run RxQueue::run_from_server(std::uint16_t first, std::size_t count, std::size_t at, Sink sink) noexcept {
  wire::Descriptor* const shared = ring_.descriptor(first);
  const std::size_t slot = ring_.slot(first);
  const std::uint32_t* const offsets = offsets_ + slot;
  std::byte* const base = base_;
  const std::uint64_t posted = posted_word0_, tag = RawDescriptor{posted, 0}.tag();
  const std::uint32_t room = shortest_room_;
  const std::uint64_t longest = checked ? single_limit_ : Extent::longest;
  std::uint64_t bytes = 0;
  const std::size_t taken = detail::run_of(count, [&](std::size_t i) {
    const RawDescriptor descriptor = Ring::load_word0(shared[i]);
    const Extent extent{descriptor.word0 - tag};
    const std::uint64_t length = extent.length_if_whole();
    if (length - 1 >= longest) [[unlikely]]
      return false;
    Ring::store_word0(shared[i], posted);
    sink(at + i, base + offsets[i], extent, room, slot + i);
    bytes += length;
    return true;
  });
  return {taken, bytes};
}

}  // namespace memif
