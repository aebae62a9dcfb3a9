#include "control/epoll_loop.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <string>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <type_traits>

namespace memif {
namespace {

constexpr int gone = -1;

// An errno, or 0.
int control(int epoll, int operation, int fd, unsigned events) noexcept {
  epoll_event event{};
  if (events & event_read) event.events |= EPOLLIN;
  if (events & event_write) event.events |= EPOLLOUT;
  event.data.fd = fd;
  return ::epoll_ctl(epoll, operation, fd, &event) == 0 ? 0 : errno;
}

Error cannot_watch(int error, int fd) {
  return system_error(error, "cannot watch file descriptor " + std::to_string(fd));
}

Error not_watched(int fd) { return system_error(ENOENT, "file descriptor " + std::to_string(fd) + " is not watched"); }

}  // namespace

// What one epoll_wait() returned, on the stack of its run_once(). remove() strikes entries out, in the rounds of outer
// calls too, so that neither a closed descriptor nor a new one of the same number gets an old event.
struct EpollLoop::Round {
  explicit Round(EpollLoop& owner) noexcept : loop(owner), outer(owner.round_) { loop.round_ = this; }
  ~Round() { loop.round_ = outer; }
  Round(const Round&) = delete;
  Round& operator=(const Round&) = delete;

  EpollLoop& loop;
  Round* outer;
  std::array<epoll_event, 64> events;
  std::size_t count = 0;
};

Result<std::unique_ptr<EpollLoop>> EpollLoop::create() {
  static_assert(std::is_same_v<Clock, std::chrono::steady_clock>, "the timerfd below counts in CLOCK_MONOTONIC");
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return system_error(errno, "cannot create an epoll descriptor");
  Fd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer) return system_error(errno, "cannot create a timer descriptor");
  if (const int error = control(epoll.get(), EPOLL_CTL_ADD, timer.get(), event_read))
    return cannot_watch(error, timer.get());
  return std::unique_ptr<EpollLoop>(new EpollLoop(std::move(epoll), std::move(timer)));
}

Status EpollLoop::add(int fd, unsigned events) {
  const auto [entry, added] = watched_.try_emplace(fd, events);
  if (!added) return system_error(EEXIST, "file descriptor " + std::to_string(fd) + " is watched already");
  const int error = control(epoll_.get(), EPOLL_CTL_ADD, fd, events);
  if (error == 0) return Nothing{};
  watched_.erase(entry);
  return cannot_watch(error, fd);
}

// epoll reports errors and hang-ups whatever it is asked for, so a descriptor that is to be quiet leaves the set.
Status EpollLoop::change(int fd, unsigned events) {
  const auto entry = watched_.find(fd);
  if (entry == watched_.end()) return not_watched(fd);
  const bool in_set = entry->second != 0;
  if (!in_set && events == 0) return Nothing{};
  const int operation = !in_set ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  if (const int error = control(epoll_.get(), operation, fd, events)) return cannot_watch(error, fd);
  entry->second = events;
  return Nothing{};
}

void EpollLoop::remove(int fd) noexcept {
  if (watched_.erase(fd) == 0) return;
  // ENOENT when it was quiet. A child of fork() has the same set as its parent, which goes on with it.
  if (process_ == ::getpid()) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  for (Round* round = round_; round != nullptr; round = round->outer) {
    for (std::size_t i = 0; i < round->count; ++i) {
      if (round->events[i].data.fd == fd) round->events[i].data.fd = gone;
    }
  }
}

void EpollLoop::set_timer(std::optional<Clock::time_point> when) noexcept {
  itimerspec spec{};
  if (when) {
    // An expiry of zero would disarm; a moment long past fires at once just the same.
    const auto since = std::max<std::chrono::nanoseconds>(when->time_since_epoch(), std::chrono::nanoseconds(1));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
    spec.it_value.tv_sec = seconds.count();
    spec.it_value.tv_nsec = (since - seconds).count();
  }
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

// False when an earlier callback of the round set or disarmed the timer: that forgets the expiry.
bool EpollLoop::timer_expired() noexcept {
  std::uint64_t expirations = 0;
  return ::read(timer_.get(), &expirations, sizeof expirations) == sizeof expirations;
}

bool EpollLoop::run_once(std::chrono::milliseconds timeout, const std::function<void(int)>& ready,
                         const std::function<void()>& timer) {
  Round round(*this);
  const auto limit = std::clamp<std::chrono::milliseconds::rep>(timeout.count(), -1, INT_MAX);
  const int count =
      ::epoll_wait(epoll_.get(), round.events.data(), static_cast<int>(round.events.size()), static_cast<int>(limit));
  if (count <= 0) return false;
  round.count = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < round.count; ++i) {
    const int fd = round.events[i].data.fd;
    if (fd == timer_.get()) {
      if (timer_expired()) timer();
    } else if (fd != gone) {
      ready(fd);
    }
  }
  return true;
}

}  // namespace memif
