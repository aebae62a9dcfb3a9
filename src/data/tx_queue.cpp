// What TxQueue and its bursts make of a queue's parts.
#include <array>

#include <memif/tx_queue.hpp>

#include "memory/pool_memory.hpp"

namespace memif {
namespace {

// Enough for 128 KiB in buffers of the usual size. Not initialized: that would take as long as sending a packet.
union Scratch {
  static constexpr std::size_t size = 64;
  Scratch() noexcept {}
  std::array<Buffer, size> buffers;
};

// A client may post for filling what it sends, so the two may overlap.
void copy(const Packet& from, const Packet& to) noexcept {
  auto target = to.buffers().begin();
  std::uint32_t filled = 0;
  for (const Buffer& source : from.buffers()) {
    for (std::uint32_t done = 0; done < source.size();) {
      if (filled == target->size()) {
        ++target;
        filled = 0;
      }
      const std::uint32_t n = std::min(source.size() - done, target->size() - filled);
      std::memmove(target->data() + filled, source.data() + done, n);
      done += n;
      filled += n;
    }
  }
}

}  // namespace

// Received buffers that have changed places with those of this queue.
struct TxQueue::Moved {
  const Buffer* buffers;
  DescriptorWord word(std::size_t i) const noexcept { return buffers[i].word(); }
  std::byte* data(std::size_t i) const noexcept { return buffers[i].data_; }
};

std::size_t TxQueue::forward(RxBurst& burst) noexcept {
  if (!raw_.renew() || burst.empty()) return 0;
  return raw_.can_exchange(*burst.queue_) ? forward_exchanged(burst) : forward_copied(burst);
}

std::size_t TxQueue::forward_exchanged(RxBurst& burst) noexcept {
  RawRx& from = *burst.queue_;
  std::size_t sent = 0;
  while (!burst.empty()) {
    std::span<Buffer> buffers = burst.buffers();
    const std::size_t free = raw_.room(buffers.size());
    if (!raw_.can_exchange(from)) break;  // that took another link
    const bool all = free == buffers.size();
    if (!all) {
      raw_.count_ring_full();
      buffers = buffers.first(free);
      while (!buffers.empty() && buffers.back().more()) buffers = buffers.first(buffers.size() - 1);
      if (buffers.empty() && (*burst.begin()).buffers().size() > raw_.ring_size()) {
        burst.take_out(1);
        raw_.count_rejected();
        continue;
      }
    }
    raw_.prefetch_descriptors(buffers.size());
    for (std::size_t i = 0; i < buffers.size(); ++i) raw_.exchange_free(from, buffers[i].slot(), i);
    const RawTx::Published done = raw_.publish(buffers.size(), Moved{buffers.data()});
    burst.take_out(done.packets);
    sent += done.packets;
    if (done.buffers == buffers.size()) {
      if (all) break;
      return sent;
    }
    // One that the application has made longer than its buffer, or empty. It and those behind it change back.
    for (std::size_t i = done.buffers; i < buffers.size(); ++i)
      raw_.exchange_free(from, buffers[i].slot(), i - done.buffers);
    burst.take_out(1);
  }
  return sent;
}

std::size_t TxQueue::forward_copied(RxBurst& burst) noexcept {
  std::size_t sent = 0;
  bool had_room = false;  // as much as it could ever need
  while (!burst.empty()) {
    const std::size_t copied = copy_some(burst);
    sent += copied;
    if (copied != 0) {
      had_room = false;
    } else if (had_room || (*burst.begin()).size() == 0) {
      if (!raw_.up()) break;
      burst.take_out(1);
      raw_.count_rejected();
      had_room = false;
    } else {
      had_room = raw_.renew() && raw_.room() >= std::min<std::size_t>(Scratch::size, raw_.ring_size());
      if (!had_room) break;
    }
  }
  return sent;
}

// As many as there is room for at first sight; takes them out of `burst`.
std::size_t TxQueue::copy_some(RxBurst& burst) noexcept {
  Scratch scratch;
  TxBurst out = begin(scratch.buffers);
  for (const Packet packet : burst) {
    if (!out.add(static_cast<std::uint32_t>(packet.size()))) break;  // at most InterfaceConfig::max_packet
    copy(packet, out.back());
  }
  const std::size_t sent = out.send();
  burst.take_out(sent);
  return sent;
}

bool TxQueue::send(KeptPacket& packet) noexcept {
  if (packet.empty() || !raw_.renew()) return false;
  if (raw_.pool() == packet.pool_) return send_exchanged(packet);
  Scratch scratch;
  TxBurst out = begin(scratch.buffers);
  if (!out.add(static_cast<std::uint32_t>(packet.packet().size()))) return false;
  copy(packet.packet(), out.back());
  if (out.send() != 1) return false;
  packet.give_back();
  return true;
}

bool TxQueue::send_exchanged(KeptPacket& packet) noexcept {
  const std::size_t count = packet.count_;
  if (raw_.room(count) < count) {
    raw_.count_ring_full();
    return false;
  }
  Pool::Memory& memory = packet.pool_->memory();
  std::array<std::uint32_t, KeptPacket::max_buffers> offsets;
  const auto trade = [&] {
    for (std::size_t i = 0; i < count; ++i) raw_.trade(i, offsets[i]);
  };
  for (std::size_t i = 0; i < count; ++i) offsets[i] = memory.start_of(packet.buffers_[i].data());
  trade();
  if (raw_.publish(count, Moved{packet.buffers_.get()}).buffers != count) {
    trade();
    return false;
  }
  memory.give_back_kept(std::span(offsets).first(count));
  packet.count_ = 0;
  return true;
}

bool TxQueue::send_copy(std::span<const std::byte> packet) noexcept {
  if (packet.size() > RawTx::max_packet) return false;
  Scratch scratch;
  TxBurst out = begin(scratch.buffers);
  if (!out.add(static_cast<std::uint32_t>(packet.size()))) return false;
  out.back().copy_from(packet);
  return out.send() == 1;
}

// Adds a packet that is not the first. To ask the queue for each takes several times as long as to ask for some at
// once: so those that come next are shown as well, more of them each time that all were used, none around chains.
TxBurst::State TxBurst::look_ahead(RawTx& queue, std::span<Buffer> buffers, std::uint32_t epoch, State state,
                                   std::uint32_t size) noexcept {
  constexpr std::uint32_t growth = 8, most = 512;
  const std::span<Buffer> left = buffers.subspan(state.used);
  const auto show = [&](std::size_t packets, std::size_t most_buffers) {
    return queue.peek(packets, size, most_buffers, state.used, filler(left.data()));
  };
  const std::size_t ahead = state.used == state.shown ? std::min(state.ahead * growth, most) : 0;
  state.shown = state.used;  // whatever was shown may be of a link that the queue now lets go of
  const std::size_t asked = std::min({ahead, queue.free_after(state.used), left.size()});
  std::size_t shown = asked == 0 ? 0 : show(asked, asked);
  if (shown == 0) shown = show(1, left.size());  // perhaps a chain that takes more buffers, or the peer has freed some
  if (shown == 0 || epoch != queue.epoch()) return state;
  const auto ends_packet = [](const Buffer& buffer) { return !buffer.more(); };
  const auto next = std::find_if(left.begin(), left.end(), ends_packet) + 1;
  const auto end = left.begin() + static_cast<std::ptrdiff_t>(shown);
  const auto chain = std::find_if_not(next, end, ends_packet);
  const bool all_single = chain == end && next == left.begin() + 1;
  state.ahead = !all_single ? 0 : std::max(static_cast<std::uint32_t>(ahead), 1u);
  state.shown += static_cast<std::uint32_t>(chain - left.begin());
  state.used += static_cast<std::uint32_t>(next - left.begin());
  return state;
}

}  // namespace memif
