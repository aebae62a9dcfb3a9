#include <array>

#include <memif/detail/uncancelled.hpp>
#include <memif/tx_queue.hpp>

#include "data/queues.hpp"
#include "memory/interrupt.hpp"

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

TxQueue::TxQueue(detail::Port& port, std::uint16_t index, TxCounters* published) noexcept
    : Queue(port, index), counters_(published != nullptr ? *published : own_counters_) {}

void TxQueue::refresh() noexcept {
  const bool loses_part = held() != 0;
  const Uncancelled uncancelled;  // letting go of a link closes descriptors
  if (!pay_attention() || !adopt_link()) return;
  detail::LinkRing* ring = link_ != nullptr && index_ < link_->tx.size() ? &link_->tx[index_] : nullptr;
  if (loses_part) {
    part_ = 0;
    counters_.rejected.add(1);
    ring = nullptr;                                   // for a call
    user_.store(nullptr, std::memory_order_relaxed);  // attention again
  }
  attach(ring);
  limit_offset_ = 0;
  offsets_vary_ = false;
  posted_ = nullptr;
  usual_ = 0;
  usual_ahead_ = 0;
  if (ring == nullptr) return;
  posted_ = ring->posted.get();
  if (client_) {
    limit_offset_ = limit_ = static_cast<std::uint16_t>(ring_.size());
    own_tag_ = RawDescriptor::make_tag(link_->buffer_region, false);
  }
}

void TxQueue::notify() noexcept {
  signal_interrupt(event_fd_, link_->tx[index_].interrupt.user());
  counters_.interrupts.add(1);
}

std::byte* TxQueue::resolve(const RawDescriptor& descriptor) noexcept {
  const detail::RegionView* view = region(descriptor.region());
  const std::uint64_t offset = descriptor.offset;
  const std::uint32_t capacity = descriptor.length();
  if (view == nullptr || capacity == 0 || offset + capacity > view->size) return nullptr;
  if (capacity <= max_part && descriptor.flags() == 0) {
    usual_ = descriptor.word0;
    view_ = *view;
  }
  return view->base + offset;
}

// Another descriptor is about to become the usual one.
void TxQueue::forget_usual() noexcept {
  for (; usual_ahead_ != 0; --usual_ahead_) posted_[slot(usual_ahead_ - 1)] = bound(usual_);
}

// As a server: what the client posted there is to be read again.
void TxQueue::take_back(std::size_t after) noexcept {
  if (client_) return;
  constexpr std::uint64_t flags = 0xffff;
  const std::uint64_t posted = after < usual_ahead_ ? usual_ : (posted_[slot(after)] + Extent::of(1).word) & ~flags;
  ring_.store_word0(static_cast<std::uint16_t>(next_ + after), posted);
}

// Their slots are free again, as a server with the descriptors that the client posted.
void TxQueue::give_up_held() noexcept {
  forget_usual();
  for (std::size_t n = held(); n != 0; --n) {
    --next_;
    take_back(0);
  }
  part_ = 0;
  counters_.rejected.add(1);
}

// Server: the slots from the front up to `end` go back without a packet, since one of their buffers cannot be used.
void TxQueue::give_back(std::uint16_t end) noexcept {
  MEMIF_PROBE(tx_drop, &port_, index_, static_cast<std::uint16_t>(end - next_), 0);
  for (; next_ != end; ++next_) {
    const RawDescriptor descriptor = ring_.load(next_);
    ring_.store_word0(next_, RawDescriptor::make_word0(RawDescriptor::make_tag(descriptor.region(), false), 0));
    counters_.dropped_buffer.add(1);
  }
  if (ring_.publish_to_receiver(next_)) notify();
}

std::size_t TxQueue::room() noexcept {
  if (attention()) refresh();
  return find_free(0, ring_.size());
}

bool TxQueue::exchange(RxQueue& from, std::uint16_t slot, std::size_t after) noexcept {
  if (attention()) refresh();
  if (!up() || !client_ || from.link_ != link_ || slot >= from.ring_.size() || find_free(after, 1) == 0) return false;
  const auto index = static_cast<std::uint16_t>(next_ + after);
  std::uint32_t& outgoing = offsets_[ring_.slot(index)];
  std::uint32_t& incoming = from.offsets_[slot];
  const std::uint32_t headroom = incoming - from.buffer_start(incoming);
  const std::uint32_t freed = outgoing;
  outgoing = incoming - headroom;
  incoming = freed + headroom;
  ring_.store_offset(index, outgoing);
  from.ring_.store_offset(slot, incoming);
  return true;
}

std::size_t TxQueue::forward(RxBurst& burst) noexcept {
  if (attention()) refresh();
  if (!up() || burst.empty()) return 0;
  RxQueue& from = *burst.queue_;
  return client_ && from.link_ == link_ && burst.epoch_ == from.epoch_ ? forward_exchanged(burst)
                                                                       : forward_copied(burst);
}

std::size_t TxQueue::forward_exchanged(RxBurst& burst) noexcept {
  RxQueue& from = *burst.queue_;
  std::size_t sent = 0;
  while (!burst.empty() && from.link_ == link_) {
    std::span<Buffer> buffers = burst.buffers();
    const std::size_t free = find_free(0, buffers.size());
    const bool all = free == buffers.size();
    if (!all) {
      counters_.ring_full.add(1);
      buffers = buffers.first(free);
      while (!buffers.empty() && buffers.back().more()) buffers = buffers.first(buffers.size() - 1);
    }
    for (std::size_t i = 0; i < buffers.size(); ++i) exchange(from, buffers[i].slot(), i);
    Moved source;
    source.buffers = buffers.data();
    const Published done = publish(buffers.size(), source);
    burst.take_out(done.packets);
    sent += done.packets;
    if (done.buffers == buffers.size()) {
      if (all) break;
      return sent;
    }
    // One that the application has made longer than its buffer, or empty. It and those behind it change back.
    for (std::size_t i = done.buffers; i < buffers.size(); ++i) exchange(from, buffers[i].slot(), i - done.buffers);
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
      if (!up()) break;
      burst.take_out(1);
      counters_.rejected.add(1);
      had_room = false;
    } else {
      had_room = up() && room() >= std::min<std::size_t>(Scratch::size, ring_.size());
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

bool TxQueue::send_copy(std::span<const std::byte> packet) noexcept {
  if (packet.size() > Buffer::max_capacity) return false;
  Scratch scratch;
  TxBurst out = begin(scratch.buffers);
  if (!out.add(static_cast<std::uint32_t>(packet.size()))) return false;
  out.back().copy_from(packet);
  return out.send() == 1;
}

// Adds a packet that is not the first. To ask the queue for each takes several times as long as to ask for some at
// once: so those that come next are shown as well, more of them each time that all were used, none around chains.
TxBurst::State TxBurst::look_ahead(TxQueue& queue, std::span<Buffer> buffers, std::uint32_t epoch, State state,
                                   std::uint32_t size) noexcept {
  constexpr std::uint32_t growth = 8, most = 512;
  const std::span<Buffer> left = buffers.subspan(state.used);
  const auto show = [&](std::size_t packets, std::size_t most_buffers) {
    return queue.reserve(packets, size, most_buffers, state.used, TxQueue::filler(left.data()));
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
