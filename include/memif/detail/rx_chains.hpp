// Receiving: packets that are not one buffer in the region of the last. Included by raw_rx.hpp.
#pragma once

#include <memif/detail/raw_rx.hpp>

namespace memif {

// A burst that is not one run: the array's end is between, or a packet that no run takes.
template <class Sink>
RawRx::Taken RawRx::take_chains(Run run, std::size_t max, Sink sink, LongPackets policy) noexcept {
  std::uint16_t at = static_cast<std::uint16_t>(next_ + run.buffers);
  Taken taken{run.buffers, run.buffers};
  std::uint64_t bytes = run.bytes;
  bool slow = taken.buffers == 0 || ring_.slot(at) != 0;
  while (taken.buffers != max && at != limit_) {
    if (!slow) {
      const std::size_t published = static_cast<std::uint16_t>(limit_ - at);
      run = take_run(at, std::min(max - taken.buffers, published), taken.buffers, sink);
      at = static_cast<std::uint16_t>(at + run.buffers);
      taken.buffers += run.buffers;
      taken.packets += run.buffers;
      bytes += run.bytes;
      slow = run.buffers == 0 || ring_.slot(at) != 0;
      continue;
    }
    const Chain chain = scan_chain(at, taken.buffers, max, sink, policy);
    if (chain.verdict == Verdict::unfinished || chain.verdict == Verdict::no_space) break;
    const bool handed_out = chain.verdict == Verdict::whole || chain.verdict == Verdict::piece;
    if (!handed_out && pieces_ != 0) {
      broken("a packet of which a part was taken goes on wrong");
      break;
    }
    if (client_)
      for (std::uint16_t i = at; i != chain.end; ++i) ring_.store_word(i, posted_);
    if (handed_out) {
      taken.buffers += chain.parts;
      ++taken.packets;
      bytes += chain.bytes - pieces_;
      pieces_ = chain.verdict == Verdict::piece ? static_cast<std::uint32_t>(chain.bytes) : 0;
    } else {
      drop(at, chain);
    }
    limit_singles();
    at = chain.end;
    slow = false;
  }
  next_ = at;
  // Only now: slots given back earlier could be published again at once, and a fast peer would keep this call forever.
  if (dropped_count_ != 0) give_back_singly(0);
  if (taken.buffers != 0) count_burst(taken.packets, bytes);
  return taken;
}

// For a packet at `first` whose end was not published when we last looked. A ring full of one unfinished packet will
// never hold its end.
inline bool RawRx::look_further(std::uint16_t first) noexcept {
  if (first == released_ && static_cast<std::uint16_t>(limit_ - first) == ring_.size()) {
    broken("a chain of descriptors without end");
    return false;
  }
  const std::uint16_t before = limit_;
  look();
  unfinished_ = limit_ == before;
  return !unfinished_;
}

// One packet of any kind, from `first` on, of which the sink sees what fits behind the `at` buffers that it has
// already: chains, another region, descriptors that lie. Walked to its end in one call, even if it is to be dropped. No
// slot changes hands: the caller hands the packet out, drops it or leaves it, as the verdict says.
template <class Sink>
RawRx::Chain RawRx::scan_chain(std::uint16_t first, std::size_t at, std::size_t max, Sink sink,
                               LongPackets policy) noexcept {
  const std::size_t space = max - at;
  Chain chain{.end = first, .parts = 0, .bytes = pieces_, .verdict = Verdict::whole};
  bool good = true, more = true;
  unfinished_ = false;
  for (; more; ++chain.parts, ++chain.end) {
    if (chain.parts == space && at == 0 && policy == LongPackets::split && good && chain.bytes <= max_packet_) {
      chain.verdict = Verdict::piece;  // the rest is for next time
      return chain;
    }
    if (chain.end == limit_ && !look_further(first)) {
      chain.verdict = Verdict::unfinished;
      return chain;
    }
    const RawDescriptor descriptor = ring_.load(chain.end);
    const std::uint32_t length = descriptor.word.length();
    more = descriptor.word.more();
    chain.bytes += length;
    std::byte* const data = resolve(descriptor, chain.end);
    if (data == nullptr) {
      good = false;
    } else if (chain.parts < space) {
      sink(at + chain.parts, data, DescriptorWord::of(length, more), client_ ? room(chain.end) : length,
           std::size_t{ring_.slot(chain.end)});
    }
  }
  chain.verdict = judge(chain, good, space, at == 0);
  return chain;
}

// Of a packet whose end is known.
inline RawRx::Verdict RawRx::judge(const Chain& chain, bool good, std::size_t space,
                                   bool first_of_burst) const noexcept {
  if (!good) return Verdict::bad_descriptor;
  if (chain.bytes > max_packet_) return Verdict::oversize;
  if (chain.parts <= space) return Verdict::whole;
  return first_of_burst ? Verdict::too_many_buffers : Verdict::no_space;  // it has the whole array next time
}

}  // namespace memif
