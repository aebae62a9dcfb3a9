// The event loop that is built in: epoll and a timerfd.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <unistd.h>
#include <unordered_map>

#include <memif/event_loop.hpp>
#include <memif/fd.hpp>

namespace memif {

// Everything is in one epoll descriptor, the timer too, so that the whole loop nests in any other. One thread.
class EpollLoop final : public EventLoop {
 public:
  static Result<std::unique_ptr<EpollLoop>> create();

  Status add(int fd, unsigned events) override;
  Status change(int fd, unsigned events) override;
  void remove(int fd) noexcept override;
  void set_timer(std::optional<Clock::time_point> when) noexcept override;

  // Readable whenever run_once() would not wait.
  int fd() const noexcept { return epoll_.get(); }

  // Waits up to `timeout` (negative: no limit), then calls `ready` for each descriptor that is, and `timer` when the
  // timer's time has come. False: nothing happened, or a signal did. Callbacks may add, change and remove anything, set
  // the timer and call run_once(); a descriptor removed by one callback is not reported to a later one.
  bool run_once(std::chrono::milliseconds timeout, const std::function<void(int)>& ready,
                const std::function<void()>& timer);

 private:
  struct Round;

  EpollLoop(Fd epoll, Fd timer) noexcept : epoll_(std::move(epoll)), timer_(std::move(timer)) {}
  bool timer_expired() noexcept;

  Fd epoll_;
  Fd timer_;
  const pid_t process_ = ::getpid();           // that made it
  std::unordered_map<int, unsigned> watched_;  // those with no events are not in the epoll set
  Round* round_ = nullptr;                     // the innermost run_once() that is delivering
};

}  // namespace memif
