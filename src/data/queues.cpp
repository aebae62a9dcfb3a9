#include "data/queues.hpp"

#include "memory/interrupt.hpp"

namespace memif::detail {

Queues::Queues(const InterfaceConfig& config, std::optional<Publication> publication, std::function<void()> alarm)
    : alarm_(std::move(alarm)), publication_(std::move(publication)) {
  for (std::uint16_t i = 0; i < config.rx_queues; ++i)
    rx_.push_back(
        std::unique_ptr<RxQueue>(new RxQueue(*this, i, config, publication_ ? &publication_->rx(i) : nullptr)));
  for (std::uint16_t i = 0; i < config.tx_queues; ++i)
    tx_.push_back(std::unique_ptr<TxQueue>(new TxQueue(*this, i, publication_ ? &publication_->tx(i) : nullptr)));
}

Queues::~Queues() = default;

std::shared_ptr<Link> Queues::link() const noexcept {
  const std::lock_guard lock(mutex_);
  return link_;
}

std::size_t Queues::rx_rings() const noexcept {
  const std::lock_guard lock(mutex_);
  return link_ != nullptr ? link_->rx.size() : 0;
}

std::size_t Queues::tx_rings() const noexcept {
  const std::lock_guard lock(mutex_);
  return link_ != nullptr ? link_->tx.size() : 0;
}

bool Queues::connected() const noexcept {
  const std::lock_guard lock(mutex_);
  return link_ != nullptr;
}

void Queues::set_link(std::shared_ptr<Link> link) noexcept {
  {
    const std::lock_guard lock(mutex_);
    link_.swap(link);
    report_ = nullptr;
    if (link_ != nullptr) link_->user.store(this, std::memory_order_seq_cst);
    for (const auto& queue : rx_) raise_and_wake_locked(queue->raw());
    for (const auto& queue : tx_) raise_locked(queue->raw());
  }
  changed_.notify_all();
  if (const std::shared_ptr<Link> now = this->link(); now != nullptr && now->vanished.load(std::memory_order_seq_cst))
    memory_vanished();
}

void Queues::report(const std::shared_ptr<Link>& link, const char* what) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (link == nullptr) return;
    link->failed.store(true, std::memory_order_relaxed);
    if (link == link_ && report_ == nullptr) report_ = what;
  }
  alarm_();
}

// What queues report of a ring whose memory is gone follows from that.
std::optional<Queues::Report> Queues::take_report() noexcept {
  const std::lock_guard lock(mutex_);
  if (link_ != nullptr && link_->vanished.load(std::memory_order_seq_cst))
    return Report{Errc::truncated_memory, "the peer shrank memory that is in use"};
  if (report_ == nullptr) return std::nullopt;
  return Report{Errc::broken_ring, std::exchange(report_, nullptr)};
}

// The queues are there for as long as this, and a link for no longer than its queues and control side.
void Queues::memory_vanished() noexcept {
  for (const auto& queue : rx_) raise_locked(queue->raw());
  for (const auto& queue : tx_) raise_locked(queue->raw());
  alarm_();
}

void Queues::wait_for_change(const Queue& queue, std::chrono::nanoseconds timeout) noexcept {
  std::unique_lock lock(mutex_);
  const auto changed = [&queue] { return queue.link_changed(); };
  if (timeout < std::chrono::nanoseconds::zero())
    changed_.wait(lock, changed);
  else
    changed_.wait_for(lock, timeout, changed);
}

void Queues::raise(RawRx& queue) noexcept {
  {
    const std::lock_guard lock(mutex_);
    raise_and_wake_locked(queue);
  }
  changed_.notify_all();
}

bool Queues::fall_asleep(RawRx& queue) noexcept {
  const std::lock_guard lock(mutex_);
  queue.asleep_ = !queue.link_changed();
  return queue.asleep_;
}

void Queues::wake_up(RawRx& queue) noexcept {
  const std::lock_guard lock(mutex_);
  queue.asleep_ = false;
}

// A thread in the queue's wait() sleeps on the interrupt of the link that it has, and drains it. A program that watches
// the descriptor itself is to find packets behind it and nothing else: it might drain it never, and turn without end.
void Queues::raise_and_wake_locked(RawRx& queue) noexcept {
  raise_locked(queue);
  if (queue.asleep_) signal_interrupt(queue.event_fd_, queue.link_->rx[queue.index_].interrupt.user());
}

// The release pairs with the acquire in Queue::link_changed(); the link itself is read under the mutex.
void Queues::raise_locked(Queue& queue) noexcept { queue.user_.store(nullptr, std::memory_order_release); }

}  // namespace memif::detail
