#include <memif/detail/raw_tx.hpp>
#include <memif/detail/uncancelled.hpp>

#include "data/queues.hpp"
#include "data/waiting.hpp"
#include "memory/interrupt.hpp"

namespace memif {

using detail::left_until, detail::SteadyTime;
using std::chrono::nanoseconds;

RawTx::RawTx(detail::Queues& owner, std::uint16_t index, const InterfaceConfig& config, TxCounters* published) noexcept
    : Queue(owner, index),
      mode_(config.rx_mode),
      spin_(config.spin),
      counters_(published != nullptr ? *published : own_counters_) {}

void RawTx::refresh() noexcept {
  const bool loses_part = held() != 0;
  const Uncancelled uncancelled;  // letting go of a link closes descriptors
  if (!take_over() || !adopt_link()) return;
  detail::LinkRing* ring = link_ != nullptr && index_ < link_->tx.size() ? &link_->tx[index_] : nullptr;
  if (loses_part) {
    part_ = 0;
    count_rejected();
    ring = nullptr;                                   // for a call
    user_.store(nullptr, std::memory_order_relaxed);  // and look again
  }
  attach(ring);
  limit_offset_ = 0;
  offsets_vary_ = false;
  posted_ = nullptr;
  alike_ = {};
  alike_ahead_ = 0;
  if (ring == nullptr) return;
  posted_ = ring->posted.get();
  if (client_) {
    limit_offset_ = limit_ = static_cast<std::uint16_t>(ring_.size());
    own_tag_ = DescriptorWord::of(0, false, link_->buffer_region).tag();
  }
}

void RawTx::notify() noexcept {
  signal_interrupt(event_fd_, link_->tx[index_].interrupt.user());
  counters_.interrupts.add(1);
}

std::byte* RawTx::resolve(const RawDescriptor& descriptor) noexcept {
  const detail::RegionView* view = region(descriptor.word.region());
  const std::uint64_t offset = descriptor.offset;
  const std::uint32_t capacity = descriptor.word.length();
  if (view == nullptr || capacity == 0 || offset + capacity > view->size) return nullptr;
  if (capacity <= max_part && descriptor.word.flags() == 0) {
    alike_ = descriptor.word;
    view_ = *view;
  }
  return view->base + offset;
}

// Another descriptor is about to take the place of alike_.
void RawTx::forget_alike() noexcept {
  for (; alike_ahead_ != 0; --alike_ahead_) posted_[slot(alike_ahead_ - 1)] = bound(alike_);
}

// As a server: what the client posted there is to be read again.
void RawTx::take_back(std::size_t after) noexcept {
  if (client_) return;
  constexpr std::uint64_t flags = 0xffff;
  const DescriptorWord posted =
      after < alike_ahead_ ? alike_ : DescriptorWord{(posted_[slot(after)] + DescriptorWord::of(1).value) & ~flags};
  ring_.store_word(static_cast<std::uint16_t>(next_ + after), posted);
}

// Their slots are free again, as a server with the descriptors that the client posted.
void RawTx::give_up_held() noexcept {
  forget_alike();
  for (std::size_t n = held(); n != 0; --n) {
    --next_;
    take_back(0);
  }
  part_ = 0;
  counters_.rejected.add(1);
}

// Server: the slots from the front up to `end` go back without a packet, since one of their buffers cannot be used.
void RawTx::give_back(std::uint16_t end) noexcept {
  detail::probe_tx_drop(&owner_, index_, static_cast<std::uint16_t>(end - next_), 0);
  for (; next_ != end; ++next_) {
    const RawDescriptor descriptor = ring_.load(next_);
    ring_.store_word(next_, DescriptorWord::of(0, false, descriptor.word.region()));
    counters_.dropped_buffer.add(1);
  }
  if (ring_.publish_to_receiver(next_)) notify();
}

std::size_t RawTx::room(std::size_t wanted) noexcept {
  if (link_changed()) refresh();
  return find_free(0, std::min<std::size_t>(wanted, ring_.size()));
}

bool RawTx::has_room(std::size_t wanted) noexcept {
  wanted = std::min<std::size_t>(wanted, ring_.size());
  return room(wanted) == wanted && up();
}

// docs/architecture.md, "Waiting".
bool RawTx::wait(std::size_t wanted, nanoseconds timeout) noexcept {
  if (has_room(wanted)) return true;
  if (timeout == nanoseconds::zero() || take_wake()) return false;
  const std::uint32_t epoch = epoch_;
  const SteadyTime start = std::chrono::steady_clock::now();
  const std::optional<SteadyTime> deadline = detail::deadline_after(timeout);
  const nanoseconds spin = detail::spin_of(mode_, spin_);
  do {
    const nanoseconds waited = std::chrono::steady_clock::now() - start;
    if (up() && waited < spin) {
      for (int i = 0; i < detail::looks_per_clock_read && !has_room(wanted); ++i) detail::relax();
    } else if (may_sleep()) {
      const nanoseconds left = left_until(deadline);
      sleep_on(-1, up() ? detail::shorter(left, detail::nap_after(waited)) : left);
    }
  } while (!has_room(wanted) && epoch == epoch_ && !take_wake() &&
           (!deadline || std::chrono::steady_clock::now() < *deadline));
  return has_room(wanted);
}

bool RawTx::exchange(RawRx& from, std::uint16_t slot, std::size_t after) noexcept {
  if (link_changed()) refresh();
  if (!shares_buffers_with(from) || slot >= from.ring_.size() || find_free(after, 1) == 0) return false;
  exchange_free(from, slot, after);
  return true;
}

// The packet keeps its headroom, and the buffer that comes for it gets the same.
void RawTx::exchange_free(RawRx& from, std::uint16_t slot, std::size_t after) noexcept {
  const auto index = static_cast<std::uint16_t>(next_ + after);
  std::uint32_t& outgoing = offsets_[ring_.slot(index)];
  std::uint32_t& incoming = from.offsets_[slot];
  const std::uint32_t headroom = incoming - from.buffer_start(incoming);
  const std::uint32_t freed = outgoing;
  outgoing = incoming - headroom;
  incoming = freed + headroom;
  ring_.store_offset(index, outgoing);
  from.ring_.store_offset(slot, incoming);
}

void RawTx::prefetch_descriptors(std::size_t count) noexcept {
  constexpr std::size_t a_line = 64 / sizeof(wire::Descriptor);
  const auto prefetch = [this](std::size_t after) {
    detail::prefetch_to_write(
        reinterpret_cast<const std::byte*>(ring_.descriptor(static_cast<std::uint16_t>(next_ + after))));
  };
  for (std::size_t i = 0; i < count; i += a_line) prefetch(i);
  if (count != 0) prefetch(count - 1);
}

}  // namespace memif
