#include <array>
#include <poll.h>

#include <memif/detail/queue.hpp>
#include <memif/detail/uncancelled.hpp>

#include "data/queues.hpp"
#include "data/waiting.hpp"
#include "memory/interrupt.hpp"

namespace memif {
namespace {

// What a ring without memory points at. Nobody writes it: every path that writes has found a slot or a link first.
struct {
  wire::RingHeader header{};
  wire::Descriptor descriptors[1]{};
} no_ring;

}  // namespace

Ring::Ring() noexcept : Ring(&no_ring.header, 0, true) {}

namespace detail {

Queue::Queue(Queues& owner, std::uint16_t index) noexcept : index_(index), owner_(owner) {}
Queue::~Queue() = default;

void Queue::broken(const char* what) noexcept {
  owner_.report(link_, what);
  user_.store(nullptr, std::memory_order_relaxed);
}

bool Queue::take_over() noexcept {
  const bool raised = user_.exchange(this_thread(), std::memory_order_acq_rel) == nullptr;
  if (link_ != nullptr) link_->prepare_thread();
  return raised;
}

// After take_over(): a change that comes between the two is seen at the next call.
bool Queue::adopt_link() noexcept {
  std::shared_ptr<Link> link = owner_.link();
  if (link != nullptr && link->failed.load(std::memory_order_relaxed)) link = nullptr;
  if (link == link_) return false;
  if (keeps_former_ && former_ == nullptr) former_ = std::move(link_);
  link_ = std::move(link);
  if (link_ != nullptr) link_->prepare_thread();
  ++epoch_;
  return true;
}

// Either the bell is found, or may_sleep() finds what is stored before: both sides store, then load, seq_cst.
void Queue::wake() noexcept {
  woken_.store(true, std::memory_order_seq_cst);
  bell_.ring();
}

bool Queue::may_sleep() noexcept {
  owner_.make_bell(*this);
  return !link_changed() && !woken_.load(std::memory_order_seq_cst);
}

bool Queue::sleep_on(int fd, std::chrono::nanoseconds timeout) noexcept {
  // Where there is no descriptor to be had, nobody can wake us.
  constexpr auto without_bell = std::chrono::milliseconds(10);
  std::array<pollfd, 2> fds{
      {{.fd = fd, .events = POLLIN, .revents = 0}, {.fd = bell_.fd(), .events = POLLIN, .revents = 0}}};
  if (fds[1].fd < 0) timeout = shorter(timeout, without_bell);
  const timespec limit = to_timespec(timeout);
  ::ppoll(fds.data(), fds.size(), timeout < std::chrono::nanoseconds::zero() ? nullptr : &limit, nullptr);
  if (bell_.rang()) bell_.hear();
  return fds[0].revents != 0;
}

void Queue::drop_former_link() noexcept {
  const Uncancelled uncancelled;
  former_ = nullptr;
}

std::shared_ptr<Pool> Queue::pool() const noexcept { return link_ != nullptr ? link_->pool : nullptr; }

void Queue::attach(LinkRing* ring) noexcept {
  next_ = limit_ = 0;
  tag_ = ~0u;
  view_ = {};
  if (ring == nullptr) {
    link_ = nullptr;
    ring_ = Ring();
    client_ = false;
    offsets_ = nullptr;
    base_ = nullptr;
    buffers_of_ = nullptr;
    buffer_size_ = 0;
    regions_ = nullptr;
    region_count_ = 0;
    event_fd_ = -1;
    return;
  }
  ring_ = Ring(ring->header, ring->spec.log2_size, link_->client);
  client_ = link_->client;
  offsets_ = ring->offsets.get();
  base_ = client_ ? link_->views[link_->buffer_region].base : nullptr;
  buffers_of_ = client_ ? link_->buffers_of() : nullptr;
  buffer_size_ = link_->buffer_size;
  regions_ = link_->views.data();
  region_count_ = static_cast<std::uint32_t>(link_->views.size());
  event_fd_ = ring->interrupt.get();
}

}  // namespace detail
}  // namespace memif
