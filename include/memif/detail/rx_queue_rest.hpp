// Receiving: packets that are not one buffer in the usual place. Included by rx_queue.hpp.
#pragma once

#include <memif/rx_queue.hpp>

namespace memif {

struct RxQueue::Burst {
  std::size_t max;
  LongPackets policy;
  std::uint16_t next;  // the slot to look at; next_ in the end
  bool ended = false;  // nothing more to be had
  std::size_t buffers = 0;
  std::size_t packets = 0;
  std::uint64_t bytes = 0;

  void add(const Run& run) noexcept {
    next = static_cast<std::uint16_t>(next + run.buffers);
    buffers += run.buffers;
    packets += run.buffers;
    bytes += run.bytes;
  }
};

// A burst that is not one run: the array's end is between, or a packet that no run takes.
template <class Sink>
RxQueue::Taken RxQueue::take_rest(Run run, std::size_t max, Sink sink, LongPackets policy) noexcept {
  Burst burst{.max = max, .policy = policy, .next = next_};
  burst.add(run);
  bool unusual = burst.buffers == 0 || ring_.slot(burst.next) != 0;
  while (burst.buffers != burst.max && burst.next != limit_) {
    if (unusual) {
      burst = take_packet(burst, sink);
      if (burst.ended) break;
      unusual = false;
    } else {
      const std::size_t published = static_cast<std::uint16_t>(limit_ - burst.next);
      run = take_run(burst.next, std::min(burst.max - burst.buffers, published), burst.buffers, sink);
      burst.add(run);
      unusual = run.buffers == 0 || ring_.slot(burst.next) != 0;
    }
  }
  next_ = burst.next;
  // Only now: slots given back earlier could be published again at once, and a fast peer would keep this call for ever.
  if (dropped_count_ != 0) give_back_singly(0);
  if (burst.buffers != 0) count_burst(burst.packets, burst.bytes);
  return {burst.buffers, burst.packets};
}

// For a packet at `first` whose end was not published when we last looked. A ring full of one unfinished packet will
// never hold its end.
inline bool RxQueue::look_further(std::uint16_t first) noexcept {
  if (first == released_ && static_cast<std::uint16_t>(limit_ - first) == ring_.size()) {
    broken("a chain of descriptors without end");
    return false;
  }
  const std::uint16_t before = limit_;
  look();
  unfinished_ = limit_ == before;
  return !unfinished_;
}

// One packet with every case: chains, another region, descriptors that lie. It is taken or dropped, or the burst ends
// before it. What is to be dropped is walked to its end, in one call.
template <class Sink>
RxQueue::Burst RxQueue::take_packet(Burst burst, Sink sink) noexcept {
  const std::size_t space = burst.max - burst.buffers;
  std::uint16_t at = burst.next;
  std::size_t parts = 0;
  std::uint64_t bytes = pieces_;  // of the packet so far
  bool good = true, more = true;
  unfinished_ = false;
  for (; more; ++parts, ++at) {
    const bool piece = parts == space && burst.buffers == 0 && burst.policy == LongPackets::split;
    if (piece && good && bytes <= max_packet_) break;  // the rest is for next time
    if (at == limit_ && !look_further(burst.next)) {
      burst.ended = true;
      return burst;
    }
    const RawDescriptor descriptor = ring_.load(at);
    more = descriptor.more();
    bytes += descriptor.length();
    std::byte* const data = resolve(descriptor, at);
    if (data == nullptr) {
      good = false;
    } else if (parts < space) {
      const std::uint32_t capacity = client_ ? room(at) : descriptor.length();
      sink(burst.buffers + parts, data, Extent::of(descriptor.length(), more), capacity, std::size_t{ring_.slot(at)});
    }
  }
  const bool too_long = bytes > max_packet_;
  const bool whole = good && !too_long && parts <= space;
  if (good && !too_long && !whole && burst.buffers != 0) {
    burst.ended = true;  // it will have the whole array next time
    return burst;
  }
  if (!whole && pieces_ != 0) {
    broken("a packet of which a part was taken goes on wrong");
    burst.ended = true;
    return burst;
  }
  if (client_)
    for (std::uint16_t i = burst.next; i != at; ++i) ring_.store_word0(i, posted_word0_);
  if (whole) {
    burst.buffers += parts;
    burst.bytes += bytes - pieces_;
    ++burst.packets;
    pieces_ = more ? static_cast<std::uint32_t>(bytes) : 0;
  } else {
    count_drop(!good ? Drop::descriptor : too_long ? Drop::oversize : Drop::many_buffers, parts);
    drop(burst.next, parts);
  }
  limit_singles();
  burst.next = at;
  return burst;
}

}  // namespace memif
