// The one place from which callbacks run: descriptors, timers, and what is to be freed afterwards.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include <memif/event_loop.hpp>
#include <memif/fd.hpp>

namespace memif::detail {

// Something that waits for a descriptor. on_ready() is a hint: it may come late, twice, or for nothing, also because
// the descriptor's number was another's when the event was made.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual void on_ready() = 0;

 private:
  friend class Reactor;
  std::unique_ptr<Handler> next_to_free_;
};

// What other threads and signal handlers may touch of a context. Outlives it for as long as one of them holds it.
struct Waker {
  Fd event;
  std::atomic<bool> woken{false};  // by the user
  std::atomic<bool> alarm{false};  // by a queue that found its peer broken
  std::atomic<bool> stop{false};   // by a stop token: a coroutine is not to wait on

  void wake(std::atomic<bool>& why) noexcept;
};

class Timer;

// One control thread. An object that ends during a callback is forgotten at once, and freed when the last callback
// has returned. Only watch() and a timer's constructor ask for memory: what ends something cannot fail.
class Reactor {
 public:
  explicit Reactor(EventLoop& loop) : loop_(loop) {}

  Status watch(int fd, unsigned events, Handler& handler);
  Status rewatch(int fd, unsigned events) { return loop_.change(fd, events); }
  void unwatch(int fd) noexcept;
  void free_later(std::unique_ptr<Handler> handler) noexcept;

  void handle(int fd);
  void handle_timer();

  // From now on it only forgets: in a child of fork() all that it stands for is still in use by the parent.
  void abandon() noexcept { abandoned_ = true; }
  bool abandoned() const noexcept { return abandoned_; }

  // Marks a stretch during which nothing is freed: every entry from outside.
  class Scope {
   public:
    explicit Scope(Reactor& reactor) noexcept : reactor_(reactor) { ++reactor_.depth_; }
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Reactor& reactor_;
  };

 private:
  friend class Timer;
  using Due = std::set<std::pair<Clock::time_point, Timer*>>;

  void arm() noexcept;

  EventLoop& loop_;
  std::unordered_map<int, Handler*> handlers_;
  Due due_;
  std::optional<Clock::time_point> armed_;
  std::unique_ptr<Handler> to_free_;
  int depth_ = 0;
  bool abandoned_ = false;
};

// Calls back once at a given time, from Reactor::handle_timer().
class Timer {
 public:
  Timer(Reactor& reactor, std::function<void()> callback);
  ~Timer() { set(std::nullopt); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void set(std::optional<Clock::time_point> when) noexcept;
  bool pending() const noexcept { return when_.has_value(); }

 private:
  friend class Reactor;

  Reactor& reactor_;
  std::function<void()> callback_;
  std::optional<Clock::time_point> when_;
  Reactor::Due::node_type place_;  // in the reactor's set; here while the timer is not set
};

}  // namespace memif::detail
