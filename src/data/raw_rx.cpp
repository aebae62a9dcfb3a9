#include <memif/detail/raw_rx.hpp>
#include <memif/detail/uncancelled.hpp>

#include "data/queues.hpp"
#include "data/waiting.hpp"
#include "memory/interrupt.hpp"

namespace memif {

using detail::deadline_after, detail::left_until, detail::SteadyTime;
using std::chrono::nanoseconds;

RawRx::RawRx(detail::Queues& owner, std::uint16_t index, const InterfaceConfig& config, RxCounters* published) noexcept
    : Queue(owner, index),
      max_packet_(config.max_packet),
      headroom_(config.headroom),
      mode_(config.rx_mode),
      spin_(config.spin),
      spin_now_(config.spin),
      counters_(published != nullptr ? *published : own_counters_) {}

void RawRx::refresh() noexcept {
  if (!take_over()) return;
  const Uncancelled uncancelled;  // letting go of a link closes descriptors
  if (adopt_link()) {
    detail::LinkRing* ring = link_ != nullptr && index_ < link_->rx.size() ? &link_->rx[index_] : nullptr;
    attach(ring);
    released_ = publish_offset_ = 0;
    live_bursts_ = 0;
    dropped_ = nullptr;
    dropped_count_ = 0;
    unfinished_ = false;
    pieces_ = 0;
    if (ring != nullptr) {
      dropped_ = ring->dropped.get();
      if (client_) {
        headroom_ = link_->posted_headroom;
        shortest_room_ = buffer_size_ - headroom_;
        posted_ = DescriptorWord::of(shortest_room_, false, link_->buffer_region);
        publish_offset_ = static_cast<std::uint16_t>(ring_.size());
        // Seen from the receiving end, buffers not yet posted are buffers held.
        if (!link_->posted) released_ = static_cast<std::uint16_t>(-static_cast<int>(ring_.size()));
      }
    }
    limit_singles();
  }
  idle_interrupts_ = 0;
  waits_awake_ = 0;
  armed_ = false;
  if (!up()) return;
  // A queue on interrupts is armed from the start, so that a loop around event_fd() needs no first call.
  if (mode() == RxMode::interrupt)
    static_cast<void>(ring_.unmask_and_look());
  else
    mask_interrupts();
}

// A queue whose mode is polling has no reason to sleep, unless its application does so by itself.
void RawRx::mask_interrupts() noexcept {
  if (mode() == RxMode::polling && !armed_)
    ring_.stay_awake();
  else
    ring_.mask_interrupts();
}

// An adaptive one has none as long as packets keep coming.
void RawRx::found_awake() noexcept {
  constexpr std::uint32_t enough = 64;
  if (++waits_awake_ == enough && mode() == RxMode::adaptive) ring_.stay_awake();
}

std::byte* RawRx::resolve(const RawDescriptor& descriptor, std::uint16_t index) noexcept {
  const std::uint32_t length = descriptor.word.length();
  if (client_) return length - 1 < room(index) ? base_ + offsets_[ring_.slot(index)] : nullptr;
  const detail::RegionView* view = region(descriptor.word.region());
  const std::uint64_t offset = descriptor.offset;
  if (view == nullptr || length == 0 || offset + length > view->size) return nullptr;
  tag_ = DescriptorWord::of(0, false, descriptor.word.region()).tag();
  view_ = *view;
  limit_singles();
  return view->base + offset;
}

// Client: offsets have headroom in them; buffers lie one stride apart from the first.
std::uint32_t RawRx::buffer_start(std::uint32_t offset) const noexcept {
  if (link_->placed) return offset;
  const std::uint64_t first = link_->first_buffer;
  return static_cast<std::uint32_t>(first + (offset - first) / link_->buffer_stride * link_->buffer_stride);
}

std::uint32_t RawRx::room(std::uint16_t index) const noexcept {
  const std::uint32_t offset = offsets_[ring_.slot(index)];
  return buffer_size_ - (offset - buffer_start(offset));
}

void RawRx::drop(std::uint16_t first, const Chain& chain) noexcept {
  const auto count = [&](Counter& counter, int why) {
    counter.add(1);
    detail::probe_rx_drop(&owner_, index_, chain.parts, why);
  };
  switch (chain.verdict) {  // the numbers are those of docs/probes.md
    case Verdict::bad_descriptor:
      count(counters_.dropped_descriptor, 0);
      break;
    case Verdict::too_many_buffers:
      count(counters_.dropped_long, 1);
      break;
    case Verdict::oversize:
      count(counters_.dropped_oversize, 2);
      break;
    case Verdict::whole:
    case Verdict::piece:
    case Verdict::unfinished:
    case Verdict::no_space:
      return;  // not dropped
  }
  dropped_count_ += chain.parts;
  for (; first != chain.end; ++first) {
    const std::uint16_t slot = ring_.slot(first);
    dropped_[slot / 64] |= std::uint64_t{1} << (slot % 64);
  }
}

bool RawRx::take_drop_mark(std::uint16_t index) noexcept {
  const std::uint16_t slot = ring_.slot(index);
  const std::uint64_t bit = std::uint64_t{1} << (slot % 64);
  if (dropped_count_ == 0 || (dropped_[slot / 64] & bit) == 0) return false;
  dropped_[slot / 64] &= ~bit;
  --dropped_count_;
  return true;
}

// Client: what the slot's descriptor must say for its buffer to be filled `headroom_` bytes after its start.
void RawRx::post(std::uint16_t index) noexcept {
  std::uint32_t& offset = offsets_[ring_.slot(index)];
  if (!link_->placed) offset = buffer_start(offset) + headroom_;
  ring_.update(index, posted_, offset);
}

void RawRx::change_headroom(std::uint32_t headroom) noexcept {
  if (!client_ || headroom >= buffer_size_) return;
  headroom_ = headroom;
  posted_ = DescriptorWord::of(buffer_size_ - headroom, false, link_->buffer_region);
  shortest_room_ = std::min(shortest_room_, buffer_size_ - headroom);
  limit_singles();
}

// What was dropped before, between and right after the oldest `count` buffers that were handed out goes back with them.
std::size_t RawRx::give_back_singly(std::size_t count) noexcept {
  std::size_t released = 0;
  for (; released_ != next_; ++released_) {
    if (!take_drop_mark(released_)) {
      if (released == count) break;
      ++released;
    }
    if (reposts()) post(released_);
  }
  publish();
  return released;
}

bool RawRx::more_published() noexcept {
  const std::uint16_t before = limit_;
  look();
  if (limit_ != before) unfinished_ = false;
  return limit_ != before;
}

bool RawRx::arm_here() noexcept {
  if (pending_here()) return false;
  if (!up()) return true;
  armed_ = true;
  waits_awake_ = 0;
  if (ring_.unmask_and_look() == limit_) return true;
  mask_interrupts();
  return false;
}

void RawRx::disarm_here() noexcept {
  if (!up()) return;
  mask_interrupts();
  if (drain_interrupt(event_fd_)) count_interrupt();
}

// A correct peer interrupts at most once for each time that it moves its index. One that does not stop (its eventfd may
// be a semaphore with a count of 2^64) would keep this thread from ever sleeping.
void RawRx::count_interrupt() noexcept {
  constexpr std::uint32_t most_idle_interrupts = 1000;
  counters_.interrupts.add(1);
  if (limit_ != std::exchange(interrupted_at_, limit_)) idle_interrupts_ = 0;
  if (++idle_interrupts_ == most_idle_interrupts) broken("the peer interrupts without end and sends nothing");
}

void RawRx::sleep(nanoseconds timeout) noexcept {
  if (!arm()) return;
  const bool sleeps = may_sleep();
  if (sleeps && up()) counters_.sleeps.add(1);
  const bool signalled = sleeps && sleep_on(event_fd_, timeout);
  if (!up()) return;
  mask_interrupts();
  if (signalled && drain_interrupt(event_fd_)) count_interrupt();
}

bool RawRx::wait(nanoseconds timeout) noexcept {
  if (pending()) {
    found_awake();
    return true;
  }
  if (timeout == nanoseconds::zero() || take_wake()) return false;
  const std::uint32_t epoch = epoch_;
  const std::optional<SteadyTime> deadline = deadline_after(timeout);
  const SteadyTime start = std::chrono::steady_clock::now();
  const auto waited = [start] { return std::chrono::steady_clock::now() - start; };
  bool slept = false;
  do {
    const RxMode how = mode();
    if (!up() || how == RxMode::interrupt) {
      sleep(left_until(deadline));
    } else {
      for (int i = 0; i < detail::looks_per_clock_read && !pending(); ++i) detail::relax();
      if (how == RxMode::adaptive && !pending() && waited() >= spin_now_) {
        sleep(left_until(deadline));
        slept = true;
      }
    }
  } while (!pending() && epoch == epoch_ && !take_wake() &&
           (!deadline || std::chrono::steady_clock::now() < *deadline));
  const bool found = pending();
  if (slept)
    adapt(waited(), found);
  else if (found)
    found_awake();
  return found;
}

// After a wait that slept: if the longest spin would have found something, spinning is worth while at this load; if
// not, less and less.
void RawRx::adapt(nanoseconds waited, bool found) noexcept {
  if (waited > spin_)
    spin_now_ /= 2;
  else if (found)
    spin_now_ = spin_;
}

int RawRx::event_fd() const noexcept {
  const std::shared_ptr<detail::Link> link = owner_.link();
  return link != nullptr && index_ < link->rx.size() ? link->rx[index_].interrupt.get() : -1;
}

void RawRx::set_mode(RxMode mode) noexcept {
  mode_.store(mode, std::memory_order_relaxed);
  owner_.raise(*this);
}

}  // namespace memif
