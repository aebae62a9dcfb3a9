// Transmitting: packets over several buffers, buffers that are not like the last, bursts that are not one run, parts of
// packets. Included by raw_tx.hpp.
#pragma once

#include <memif/detail/raw_tx.hpp>

namespace memif {

template <class Sink>
std::size_t RawTx::peek_chains_as_client(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                                         Sink sink) noexcept {
  const std::size_t parts = (size + buffer_size_ - 1) / buffer_size_;
  packets = std::min(packets, max / parts);
  const std::size_t free = find_free(after, packets * parts);
  if (free < packets * parts) {
    count_ring_full();
    packets = free / parts;
  }
  std::uint32_t left = size;
  for (std::size_t i = 0; i != packets * parts; ++i) {
    const std::size_t slot = this->slot(after + i);
    const std::uint32_t length = std::min(left, buffer_size_);
    left -= length;
    sink(i, base_ + offsets_[slot], DescriptorWord::of(length, left != 0), buffer_size_, slot);
    if (left == 0) left = size;
  }
  return packets * parts;
}

// The rest of a burst that was not one run: the array's end was between, or a buffer that no run takes.
template <class Sink>
std::size_t RawTx::peek_chains_as_server(std::size_t packets, std::uint32_t size, std::size_t max, std::size_t after,
                                         std::size_t used, Sink sink) noexcept {
  packets -= used;
  std::size_t free = std::min(max, free_after(after));
  bool slow = used == 0 || slot(after + used) != 0;
  while (packets != 0) {
    if (!slow) {
      const std::size_t taken = peek_run_as_server(after + used, std::min(packets, free - used), size, used, sink);
      used += taken;
      packets -= taken;
      slow = slot(after + used) != 0;
      if (taken != 0) continue;
    }
    const Chain chain =
        used == free ? Chain{.end = Chain::End::no_space} : scan_posted(after + used, free - used, size, used, sink);
    slow = false;
    if (chain.end == Chain::End::fits) {
      used += chain.parts;
      --packets;
      continue;
    }
    // A buffer that cannot be used ends the burst. At the front of the ring, where nothing precedes it, not even a part
    // that is held, the slots up to it go back: whoever asks next has those behind it.
    if (chain.end == Chain::End::bad_buffer) {
      if (after + used == 0 && held() == 0) give_back(static_cast<std::uint16_t>(next_ + chain.parts));
      break;
    }
    // No room for a whole packet, as far as we know: the peer may have posted more by now.
    const std::size_t known = free;
    if (free < max && look()) free = std::min(max, free_after(after));
    if (free == known) {
      if (free < max) count_ring_full();
      break;
    }
  }
  return used;
}

// The buffers for one packet, posted with any size in any region: those of at most `max` that it takes, or all up to
// one that cannot be used, which is the last of `parts` then.
template <class Sink>
RawTx::Chain RawTx::scan_posted(std::size_t after, std::size_t max, std::uint32_t size, std::size_t at,
                                Sink sink) noexcept {
  forget_alike();
  Chain chain;
  for (std::uint32_t left = size; left != 0; ++chain.parts) {
    if (chain.parts == max) {
      chain.end = Chain::End::no_space;
      return chain;
    }
    const auto index = static_cast<std::uint16_t>(next_ + after + chain.parts);
    const RawDescriptor descriptor = ring_.load(index);
    std::byte* const data = resolve(descriptor);
    if (data == nullptr) {
      chain.end = Chain::End::bad_buffer;
      ++chain.parts;
      return chain;
    }
    const std::uint32_t capacity = std::min(descriptor.word.length(), max_part);
    const std::uint32_t length = std::min(left, capacity);
    left -= length;
    posted_[ring_.slot(index)] = bound(DescriptorWord::of(capacity, false, descriptor.word.region()));
    sink(at + chain.parts, data, DescriptorWord::of(length, left != 0), capacity, std::size_t{ring_.slot(index)});
  }
  return chain;
}

// Buffers that are not one run, as far as they can be sent.
template <class Source>
RawTx::Written RawTx::write_rest(Written written, std::size_t count, Source source) noexcept {
  while (written.buffers != count) {
    const Written part = write_run(written.buffers, count, source);
    written.buffers += part.buffers;
    written.continued += part.continued;
    written.bytes += part.bytes;
    if (part.buffers != 0) continue;
    if (!moves<Source> || !client_ || std::exchange(offsets_vary_, true)) break;  // else: perhaps one that was moved
  }
  if (written.buffers != count) {
    count_rejected();
    detail::probe_tx_drop(&owner_, index_, count - written.buffers, 1);
  }
  return written;
}

// A burst that is not one run, or not of whole packets.
template <class Source>
RawTx::Published RawTx::publish_rest(Written written, std::size_t count, Source source) noexcept {
  written = write_rest(written, count, source);
  // A packet at the end whose last part is missing is taken back.
  while (written.buffers != 0 && source.word(written.buffers - 1).more()) {
    --written.buffers;
    --written.continued;
    written.bytes -= source.word(written.buffers).length();
    take_back(written.buffers);
  }
  return written.buffers != 0 ? commit(written) : Published{};
}

// The index that the next publish() stores is beyond them.
template <class Source>
bool RawTx::hold(std::size_t count, Source source) noexcept {
  const std::size_t before = held();
  if (before + count >= ring_.size()) {
    give_up_held();
    return false;
  }
  forget_alike();
  Written written = write_rest({}, count, source);
  if (written.buffers != count) {
    while (written.buffers != 0) take_back(--written.buffers);
    return false;
  }
  next_ = static_cast<std::uint16_t>(next_ + count);
  part_ = static_cast<std::uint16_t>(before + count);
  part_after_ = counters_.packets.get();
  counters_.bytes.add(written.bytes);
  return true;
}

}  // namespace memif
