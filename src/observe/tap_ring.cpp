#include "observe/tap_ring.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "observe/packet_length.hpp"

namespace memif::detail {
namespace {

using namespace std::chrono_literals;

// Looked at between two looks at the indices: few, so that they are fresh, and enough for a packet of 64 KiB in parts.
constexpr std::size_t chunk_descriptors = 1024;
constexpr std::size_t chunk_bytes = std::size_t{1} << 20;
constexpr std::uint64_t longest_packet = std::uint64_t{1} << 32;

// A filler prepares several packets before it publishes them: VPP 256 at once.
constexpr std::uint32_t most_prepared = 256;

// No ring of 2^16 descriptors is passed so soon.
constexpr auto shortest_lap = 200us;

constexpr std::uint64_t lap = std::uint64_t{1} << 16;

std::uint64_t buffer_of(const RawDescriptor& descriptor) noexcept {
  return (std::uint64_t{descriptor.word.region()} << 32 | descriptor.offset) + 1;
}

}  // namespace

TapRing::TapRing(const Place& place, Mode mode, std::size_t keep, bool from_the_beginning)
    : place_(place),
      mode_(mode),
      keep_(keep),
      margin_(std::min(most_prepared, place.ring_size / 2)),
      begun_(from_the_beginning),
      buffers_(place.ring_size) {}

bool TapRing::look(TapSource& source, const Take& take, Time until) {
  const bool first = !begun_;
  if (!observe(source)) return false;
  if (first) next_ = last_look_ = filled_;
  went_by_ = filled_ - std::exchange(last_look_, filled_);
  if (!place_.to_server && !remember_posted(source)) return false;
  const std::uint64_t end = filled_;
  while (next_ < end && look_at_chunk(source, end, take))
    if (std::chrono::steady_clock::now() >= until) break;
  return true;
}

void TapRing::give_up() noexcept {
  counts_.missed += filled_ - next_;
  next_ = filled_;
}

// Where filler and receiver are. A look late enough for the index to have come round asks the program's counter.
bool TapRing::observe(TapSource& source) {
  wire::RingHeader header;
  std::atomic_thread_fence(std::memory_order_acquire);  // what was read so far was read before this, ...
  if (!source.read(place_.region, place_.offset, &header, sizeof header)) return false;
  std::atomic_thread_fence(std::memory_order_acquire);  // ... and all else after it
  const std::uint32_t posted = static_cast<std::uint16_t>(header.head - header.tail);
  if (header.cookie != wire::ring_cookie || posted > place_.ring_size) return false;
  const std::uint16_t index = place_.to_server ? header.head : header.tail;
  filled_ += static_cast<std::uint16_t>(index - static_cast<std::uint16_t>(filled_));
  held_ = place_.to_server ? posted : place_.ring_size - posted;
  if (begun_)
    count_laps(source);
  else
    counted_at_ = filled_, counted_ = source.counted().value_or(0);
  begun_ = true;
  return true;
}

// The counter may be behind or ahead of the index by a ring: half a lap at most.
void TapRing::count_laps(TapSource& source) {
  constexpr std::uint64_t fastest = 500;  // descriptors in a microsecond: beyond any memory
  const auto now = std::chrono::steady_clock::now();
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(now - looked_);
  if (since < shortest_lap) return;
  const bool known = looked_ != std::chrono::steady_clock::time_point{};
  looked_ = now;
  const auto counted = source.counted();
  if (!counted) return;
  const std::uint64_t packets = *counted - counted_, passed = filled_ - counted_at_;
  if (known && *counted > counted_ && packets > passed) {
    const std::uint64_t most = static_cast<std::uint64_t>(since.count()) * fastest / lap + 1;
    filled_ += std::min((packets - passed + lap / 2) / lap, most) * lap;
  }
  counted_ = *counted;
  counted_at_ = filled_;
}

// What is older may be overwritten at this moment. Slots that were not given back are nobody's to fill. The filler
// comes to the others in turn, so that those furthest ahead of it are safe; but not if buffers go elsewhere when they
// are given back.
std::uint64_t TapRing::oldest() const noexcept {
  const std::uint64_t far = wandering_ ? 0 : place_.ring_size - margin_;
  const std::uint64_t depth = std::max(far, held_);
  return filled_ < depth ? 0 : filled_ - depth;
}

bool TapRing::load(TapSource& source, std::uint64_t first, std::size_t count) {
  constexpr std::size_t bytes = sizeof(wire::Descriptor);
  raw_.resize(count);
  const std::size_t before_end = std::min(count, place_.ring_size - slot(first));
  const std::uint64_t base = place_.offset + sizeof(wire::RingHeader);
  if (!source.read(place_.region, base + slot(first) * bytes, raw_.data(), before_end * bytes)) return false;
  if (before_end != count && !source.read(place_.region, base, raw_.data() + before_end, (count - before_end) * bytes))
    return false;
  descriptors_.resize(count);
  std::transform(raw_.begin(), raw_.end(), descriptors_.begin(), [](const wire::Descriptor& one) {
    return RawDescriptor{{one.word0}, one.offset};
  });
  return true;
}

// A client's empty buffers, before a server fills them: once it has taken a packet, the client may post another buffer
// in the same slot, or the same with its full length. So what the slot says then is no longer where the packet was.
bool TapRing::remember_posted(TapSource& source) {
  const std::uint64_t end = filled_ + (place_.ring_size - held_);
  std::uint64_t at = std::max(remembered_, filled_);
  while (at < end) {
    const std::size_t count = std::min<std::uint64_t>(end - at, chunk_descriptors);
    if (!load(source, at, count)) return false;
    for (std::size_t i = 0; i != count; ++i) {
      buffers_[slot(at + i)] = buffer_of(descriptors_[i]);
      posted_length_ = std::max(posted_length_, descriptors_[i].word.length());
    }
    at += count;
  }
  remembered_ = std::max(remembered_, end);
  return true;
}

bool TapRing::look_at_chunk(TapSource& source, std::uint64_t end, const Take& take) {
  if (next_ < oldest()) {
    counts_.missed += oldest() - next_;
    next_ = oldest();
    skipping_ = false;
  }
  if (next_ >= end) return false;
  const std::uint64_t first = next_;
  Chunk chunk{.count = std::min<std::uint64_t>(end - first, chunk_descriptors)};
  chunk.last = first + chunk.count == end;
  if (!load(source, first, chunk.count)) return false;
  next_ += read_chunk(source, chunk);
  // Now that all is copied: is it still what it was?
  const bool good = observe(source);
  hand_out(chunk, first, good ? oldest() : ~std::uint64_t{0}, take);
  return good && next_ != first;
}

// Copies the packets of a chunk; returns how many descriptors are done with.
std::size_t TapRing::read_chunk(TapSource& source, Chunk& chunk) {
  using Verdict = Chain::Verdict;
  reads_.clear();
  bytes_.clear();
  std::size_t at = 0;
  while (at != chunk.count && bytes_.size() < chunk_bytes) {
    if (skip_rest(at)) {
      ++at;
      continue;
    }
    const Chain chain = follow(source, at, chunk);
    if (chain.verdict == Verdict::goes_on) {
      if (at != 0 || chunk.count != chunk_descriptors) break;
      skipping_ = true;  // longer than any packet is
      ++chunk.invalid;
      continue;
    }
    if (chain.verdict == Verdict::unknown)
      chunk.unknown += chain.parts;
    else if (chain.verdict == Verdict::invalid || !read_packet(source, at, chain))
      ++chunk.invalid;
    at += chain.parts;
  }
  return at;
}

// What lies before `still` may have been overwritten while it was read.
void TapRing::hand_out(const Chunk& chunk, std::uint64_t first, std::uint64_t still, const Take& take) {
  counts_.missed += chunk.unknown;
  (first < still ? counts_.missed : counts_.invalid) += chunk.invalid;
  for (const Read& read : reads_) {
    if (read.first < still) {
      counts_.missed += read.parts;
      continue;
    }
    ++counts_.packets;
    counts_.inferred += read.inferred ? 1 : 0;
    take(std::span(bytes_).subspan(read.at, read.kept), read.size);
  }
}

// The rest of a packet that was given up.
bool TapRing::skip_rest(std::size_t at) {
  if (!skipping_) return false;
  skipping_ = descriptors_[at].word.more();
  return true;
}

// Whether the slot has another buffer than it had.
bool TapRing::moved(std::uint64_t index, const RawDescriptor& descriptor) {
  std::uint64_t& known = buffers_[slot(index)];
  const std::uint64_t now = buffer_of(descriptor);
  const bool moved = known != 0 && known != now;
  if (place_.to_server) known = now;
  return moved;
}

bool TapRing::reachable(TapSource& source, const RawDescriptor& part) const {
  const std::uint64_t length = part.word.length();
  return length != 0 && part.offset + length <= source.size(part.word.region());
}

TapRing::Chain TapRing::follow(TapSource& source, std::size_t at, const Chunk& chunk) {
  using Verdict = Chain::Verdict;
  Chain chain;
  for (std::size_t i = at; i != chunk.count; ++i) {
    const RawDescriptor& part = descriptors_[i];
    const bool has_moved = moved(next_ + i, part);
    wandering_ = wandering_ || (has_moved && place_.to_server && !place_.stays);
    ++chain.parts;
    chain.size += part.word.length();
    if (!reachable(source, part) || chain.size > longest_packet) {
      chain.verdict = Verdict::invalid;
      skipping_ = part.word.more();
      return chain;
    }
    if (part.word.more()) continue;
    chain.verdict = Verdict::whole;
    if (place_.to_server || part.word.length() != posted_length_) return chain;
    // The slot says what the client posts: the packet's own length may be gone.
    chain.verdict = Verdict::unknown;
    if (!has_moved) end_by_headers(source, at, chunk, chain);
    return chain;
  }
  return chain;
}

// Where a packet ends whose last known part says no more than the length of its buffer.
void TapRing::end_by_headers(TapSource& source, std::size_t at, const Chunk& chunk, Chain& chain) {
  std::array<std::byte, headers_looked_at> head;
  const RawDescriptor& first = descriptors_[at];
  const std::span seen(head.data(), std::min<std::size_t>(head.size(), first.word.length()));
  if (!source.read(first.word.region(), first.offset, seen.data(), seen.size())) return;
  const auto length = length_by_headers(seen, mode_);
  if (!length || *length <= chain.size - descriptors_[at + chain.parts - 1].word.length()) return;
  while (*length > chain.size) {
    const std::size_t next = at + chain.parts;
    if (next == chunk.count) {
      if (!chunk.last) chain.verdict = Chain::Verdict::goes_on;
      return;  // the headers say more than was sent
    }
    if (!reachable(source, descriptors_[next])) return;
    chain.size += descriptors_[next].word.length();
    ++chain.parts;
  }
  chain.verdict = Chain::Verdict::whole;
  chain.inferred = true;
  chain.size = *length;
}

bool TapRing::read_packet(TapSource& source, std::size_t at, const Chain& chain) {
  Read read{.first = next_ + at,
            .parts = chain.parts,
            .at = bytes_.size(),
            .kept = 0,
            .size = chain.size,
            .inferred = chain.inferred};
  const std::uint64_t wanted = std::min<std::uint64_t>(keep_, chain.size);
  bytes_.resize(read.at + wanted);
  for (std::size_t i = at; read.kept != wanted; ++i) {
    const RawDescriptor& part = descriptors_[i];
    const std::size_t size = std::min<std::uint64_t>(part.word.length(), wanted - read.kept);
    if (!source.read(part.word.region(), part.offset, bytes_.data() + read.at + read.kept, size)) {
      bytes_.resize(read.at);
      return false;
    }
    read.kept += size;
  }
  reads_.push_back(read);
  return true;
}

}  // namespace memif::detail
