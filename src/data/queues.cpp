#include "data/queues.hpp"

#include <cerrno>
#include <sys/epoll.h>

namespace memif {
namespace detail {
namespace {

bool watch(int epoll, int fd) noexcept {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

Error cannot_watch(int error) { return system_error(error, "cannot make a descriptor for the events of a queue"); }

}  // namespace

Queues::Queues(const InterfaceConfig& config, std::optional<Publication> publication, std::function<void()> alarm)
    : alarm_(std::move(alarm)), publication_(std::move(publication)) {
  for (std::uint16_t i = 0; i < config.rx_queues; ++i)
    rx_.push_back(
        std::unique_ptr<RxQueue>(new RxQueue(*this, i, config, publication_ ? &publication_->rx(i) : nullptr)));
  for (std::uint16_t i = 0; i < config.tx_queues; ++i)
    tx_.push_back(
        std::unique_ptr<TxQueue>(new TxQueue(*this, i, config, publication_ ? &publication_->tx(i) : nullptr)));
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
  bool unwatched = false;
  {
    const std::lock_guard lock(mutex_);
    link_.swap(link);
    report_ = nullptr;
    if (link_ != nullptr) link_->user.store(this, std::memory_order_seq_cst);
    for (const auto& queue : rx_) watch_locked(queue->raw(), link.get());
    unwatched = report_ != nullptr;
    for (const auto& queue : rx_) raise_and_ring_locked(queue->raw());
    for (const auto& queue : tx_) raise_and_ring_locked(queue->raw());
  }
  if (unwatched) alarm_();
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

// Under the mutex: set_link() either finds the bell, or is over, and link_changed() tells.
void Queues::make_bell(Queue& queue) noexcept {
  if (queue.bell_.fd() >= 0) return;
  const std::lock_guard lock(mutex_);
  queue.bell_.make();
}

// An epoll set that holds the bell and the present link's interrupt: its descriptor is the same over all links.
Result<int> Queues::event_fd(RawRx& queue) {
  const std::lock_guard lock(mutex_);
  if (queue.events_) return queue.events_.get();
  Fd events(::epoll_create1(EPOLL_CLOEXEC));
  if (!events || !queue.bell_.make()) return cannot_watch(errno);
  if (!watch(events.get(), queue.bell_.fd())) return cannot_watch(errno);
  queue.events_ = std::move(events);
  watch_locked(queue, nullptr);
  // A change that the queue has not seen yet is told as well.
  if (queue.user_.load(std::memory_order_relaxed) == nullptr) queue.bell_.ring();
  return queue.events_.get();
}

// A link whose interrupts nobody would notice does not stay.
void Queues::watch_locked(RawRx& queue, const Link* former) noexcept {
  if (!queue.events_) return;
  const int events = queue.events_.get();
  if (former != nullptr && queue.index_ < former->rx.size())
    ::epoll_ctl(events, EPOLL_CTL_DEL, former->rx[queue.index_].interrupt.get(), nullptr);
  if (link_ == nullptr || queue.index_ >= link_->rx.size()) return;
  if (watch(events, link_->rx[queue.index_].interrupt.get())) return;
  link_->failed.store(true, std::memory_order_relaxed);
  report_ = "a ring's interrupt descriptor cannot be watched";
}

void Queues::raise(RawRx& queue) noexcept {
  const std::lock_guard lock(mutex_);
  raise_and_ring_locked(queue);
}

void Queues::raise_and_ring_locked(Queue& queue) noexcept {
  raise_locked(queue);
  queue.bell_.ring();
}

// The release pairs with the acquire in Queue::link_changed(); the link itself is read under the mutex.
void Queues::raise_locked(Queue& queue) noexcept { queue.user_.store(nullptr, std::memory_order_release); }

}  // namespace detail

int RxQueue::event_fd() { return raw_.owner_.event_fd(raw_).value(); }

}  // namespace memif
