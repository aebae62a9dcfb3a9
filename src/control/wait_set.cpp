#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <utility>

#include <memif/wait_set.hpp>

#include "control/wait_set_impl.hpp"

namespace memif {
namespace detail {
namespace {

using std::chrono::nanoseconds;

constexpr std::uint32_t waits_per_poll = 32;
constexpr std::uint32_t idle_after = 256;  // looks in vain

// epoll_wait() counts in milliseconds, and so do kernels before 5.11, with which naps are longer.
int wait_for(int epoll, std::span<epoll_event> events, nanoseconds timeout) noexcept {
  static std::atomic<bool> no_pwait2{false};
  const bool forever = timeout < nanoseconds::zero();
  if (!no_pwait2.load(std::memory_order_relaxed)) {
    const timespec limit = to_timespec(timeout);
    const long count = ::syscall(SYS_epoll_pwait2, epoll, events.data(), static_cast<int>(events.size()),
                                 forever ? nullptr : &limit, nullptr, std::size_t{0});
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(count);
    no_pwait2.store(true, std::memory_order_relaxed);
  }
  const auto limit = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
  return ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()),
                      forever ? -1 : static_cast<int>(std::min<long>(limit, INT_MAX)));
}

}  // namespace

inline bool WaitSetImpl::Member::ready() noexcept {
  if (tx != nullptr) return slots != 0 && tx->has_room(slots);
  if (!rx->pending()) return false;
  rx->found_awake();
  return true;
}

inline void WaitSetImpl::look() noexcept {
  for (Member* const member : hot_) {
    if (member->ready()) {
      member->in_vain = 0;
      ready_.push_back(member->key);
    } else {
      ++member->in_vain;
    }
  }
}

void WaitSetImpl::make_hot(Member& member) noexcept {
  if (member.hot) return;
  member.hot = true;
  member.in_vain = 0;
  hot_.push_back(&member);
}

// A queue that polls asks for no interrupts, but one without a link has nothing to poll.
bool WaitSetImpl::Member::may_arm() const noexcept {
  return rx != nullptr && (!rx->up() || rx->mode() != RxMode::polling);
}

nanoseconds WaitSetImpl::Member::spin() const noexcept {
  if (rx != nullptr) return rx->up() ? spin_of(rx->mode(), rx->spin_) : nanoseconds::zero();
  return slots != 0 && tx->up() ? spin_of(tx->mode_, tx->spin_) : nanoseconds::zero();
}

// Sees to it that the interrupt of the queue's present link is in the epoll set, and no other. False: it cannot be.
bool WaitSetImpl::watch_link(Member& member) noexcept {
  RawRx& queue = *member.rx;
  if (member.watched == queue.link_) return true;
  if (member.watched != nullptr) watch(EPOLL_CTL_DEL, member.watched->rx[queue.index_].interrupt.get());
  member.watched = nullptr;
  if (!queue.up()) return true;
  if (!watch(EPOLL_CTL_ADD, queue.event_fd_, event_read, name_of(&member))) {
    queue.broken("a ring's interrupt descriptor cannot be watched");
    return false;
  }
  member.watched = queue.link_;
  return true;
}

// False: it has packets, or another link now.
bool WaitSetImpl::arm(Member& member) noexcept {
  member.rx->renew();
  return watch_link(member) && member.rx->arm();
}

// Before a sleep. False: not all are; some are ready, or polling.
bool WaitSetImpl::arm_all() noexcept {
  const auto cool = [this](Member* member) {
    const bool idle = member->rx == nullptr ? member->slots == 0 : member->may_arm() && arm(*member);
    if (!idle) return false;
    member->hot = false;
    if (member->rx != nullptr && member->rx->up()) member->rx->counters_.sleeps.add(1);
    return true;
  };
  std::erase_if(hot_, cool);
  return std::all_of(hot_.begin(), hot_.end(), [](const Member* member) { return member->tx != nullptr; });
}

// While others are busy. One on interrupts is not to be looked at.
void WaitSetImpl::arm_idle() noexcept {
  const auto idle = [this](Member* member) {
    if (!member->may_arm() || member->in_vain < (member->rx->mode() == RxMode::interrupt ? 1 : idle_after))
      return false;
    member->hot = !arm(*member);
    return !member->hot;
  };
  std::erase_if(hot_, idle);
}

nanoseconds WaitSetImpl::longest_spin() const noexcept {
  nanoseconds longest{0};
  for (const Member* const member : hot_) longest = std::max(longest, member->spin());
  return longest;
}

// For how long to sleep at most because of those who wait for free slots, if there are any.
std::optional<nanoseconds> WaitSetImpl::nap(nanoseconds waited) const noexcept {
  const auto waits = [](const Member* member) {
    return member->tx != nullptr && member->slots != 0 && member->tx->up();
  };
  if (std::none_of(hot_.begin(), hot_.end(), waits)) return std::nullopt;
  return nap_after(waited);
}

void WaitSetImpl::poll(nanoseconds timeout) noexcept {
  std::array<epoll_event, 64> events;
  const int count = wait_for(epoll_.get(), events, timeout);
  for (int i = 0; i < count; ++i) handle(events[static_cast<std::size_t>(i)].data.u64);
}

void WaitSetImpl::handle(std::uint64_t what) noexcept {
  if (what == 0) {
    bell_.hear();
    woken_ = true;
    return;
  }
  Member& member = *reinterpret_cast<Member*>(what & ~bell_bit);
  Queue* const queue = member.queue();
  if (queue == nullptr) {
    ready_.push_back(member.key);
    return;
  }
  if ((what & bell_bit) != 0) {
    queue->bell_.hear();
    woken_ |= queue->take_wake();
  }
  if (member.tx != nullptr) return;
  member.rx->renew();
  if (watch_link(member)) member.rx->disarm_here();
  make_hot(member);
}

std::span<const WaitSet::Key> WaitSetImpl::wait(nanoseconds timeout) noexcept {
  ready_.clear();
  if (++waits_ % waits_per_poll == 0) {
    poll(nanoseconds::zero());
    arm_idle();
  }
  look();
  if (ready_.empty() && timeout == nanoseconds::zero()) {
    poll(nanoseconds::zero());
    look();
  }
  if (!ready_.empty() || timeout == nanoseconds::zero()) {
    woken_ = false;
    return ready_;
  }
  const SteadyTime start = std::chrono::steady_clock::now();
  const std::optional<SteadyTime> deadline = deadline_after(timeout);
  const nanoseconds spin = longest_spin();
  const nanoseconds spin_now = spin == nanoseconds::max() ? spin : nanoseconds(spin.count() >> spins_in_vain_);
  SteadyTime now = start, polled = start;
  bool slept = false;
  while (!woken_) {
    if (now - start >= spin_now && arm_all()) {
      const std::optional<nanoseconds> most = nap(now - start);
      poll(most ? shorter(left_until(deadline), *most) : left_until(deadline));
      slept = true;
    } else {
      for (int i = 0; i < looks_per_clock_read && ready_.empty(); ++i) {
        relax();
        look();
      }
      if (!ready_.empty()) break;
      if (now - polled >= poll_period) {
        poll(nanoseconds::zero());
        polled = now;
      }
    }
    look();
    if (!ready_.empty()) break;
    now = std::chrono::steady_clock::now();
    if (deadline && now >= *deadline) break;
  }
  woken_ = false;
  if (!slept || spin == nanoseconds::zero()) return ready_;
  // As RawRx::adapt().
  if (std::chrono::steady_clock::now() - start > spin)
    spins_in_vain_ = std::min(spins_in_vain_ + 1, 62u);
  else if (!ready_.empty())
    spins_in_vain_ = 0;
  return ready_;
}

}  // namespace detail

WaitSet::WaitSet() : impl_(std::make_unique<detail::WaitSetImpl>()) {}
WaitSet::WaitSet(WaitSet&&) noexcept = default;

WaitSet& WaitSet::operator=(WaitSet&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}

WaitSet::~WaitSet() {
  if (impl_ != nullptr && impl_->inherited()) static_cast<void>(impl_.release());
}

Status WaitSet::try_add(RxQueue& queue, Key key) { return impl_->add(queue.raw(), key); }
Status WaitSet::try_add(TxQueue& queue, Key key, std::size_t wanted) { return impl_->add(queue.raw(), key, wanted); }
Status WaitSet::try_add(Context& context, Key key) { return impl_->add(context, key); }
Status WaitSet::try_add(int fd, unsigned events, Key key) { return impl_->add(fd, events, key); }
void WaitSet::remove(RxQueue& queue) noexcept { impl_->remove(queue.raw()); }
void WaitSet::remove(TxQueue& queue) noexcept { impl_->remove(queue.raw()); }
void WaitSet::remove(Context& context) noexcept { impl_->remove(context); }
void WaitSet::remove(int fd) noexcept { impl_->remove(fd); }
std::span<const WaitSet::Key> WaitSet::wait(std::chrono::nanoseconds timeout) noexcept { return impl_->wait(timeout); }
void WaitSet::wake() noexcept { impl_->wake(); }

}  // namespace memif
