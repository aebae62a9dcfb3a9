// Waiting in coroutines: co_await rx.ready(), tx.room(slots), interface.until_connected().
//
// Where a wait has to suspend its coroutine, Context::poll() resumes it, or handle() or handle_timer() in a loop of the
// program's own. So all of it happens on the control thread: queues that coroutines wait for are used there, and need
// neither a thread nor a lock. There is no allocation for a wait; the first one of a queue makes what watches it. Not
// part of memif.hpp, since the standard's headers that it takes compile slowly.
#pragma once

#include <memif/version.hpp>

#if __cplusplus >= 202002L  // else it has said so
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include <memif/context.hpp>
#include <memif/rx_queue.hpp>
#include <memif/tx_queue.hpp>

namespace memif {

// How a wait ended.
enum class Waited : std::uint8_t {
  ready,         // what was waited for is there
  link_changed,  // a queue's: the link has come or gone
  woken,         // a queue's: somebody called its wake()
  timed_out,
  stopped,  // the stop token said so
  closed,   // the interface was removed, or its context destroyed: use neither it nor its queues any more
};

// Whether a loop that waits is to end. All else is looked into by the loop's next turn:
//   for (;;) {
//     const Waited how = co_await rx.ready(stop);
//     if (over(how)) co_return;
//     for (Packet packet : rx.receive(buffers)) ...
//   }
// Give each co_await a statement of its own. In the condition of an if or while, GCC 12 compiles it wrongly, whatever
// is awaited: the condition is stored over the coroutine's own address.
constexpr bool over(Waited how) noexcept { return how == Waited::stopped || how == Waited::closed; }

namespace detail {

class InterfaceWaits;
class Waits;
class Watch;
struct Waker;

// A place in a list, which is a ring of places: one of them is the list. Leaves by itself.
class Place {
 public:
  Place() noexcept = default;
  ~Place() { leave(); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  bool alone() const noexcept { return next_ == this; }  // a list: empty
  Place* next() const noexcept { return next_; }
  void leave() noexcept {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = this;
  }
  void join(Place& list) noexcept {  // as its last
    leave();
    previous_ = list.previous_;
    next_ = &list;
    previous_->next_ = list.previous_ = this;
  }

 private:
  Place* previous_ = this;
  Place* next_ = this;
};

// What else ends a wait: rx.ready(1s, stop). Not an aggregate in braces for its user: GCC 12 destroys such ones twice
// where they are temporaries of a co_await.
struct WaitLimits {
  template <class... Limits>
  explicit WaitLimits(const Limits&... limits) noexcept {
    (set(limits), ...);
  }
  void set(std::chrono::nanoseconds limit) noexcept { timeout = limit; }
  void set(const std::stop_token& limit) noexcept { stop = limit; }

  std::chrono::nanoseconds timeout{-1};  // negative: without end
  std::stop_token stop;
};

// The list of those who wait for one thing, and of those with a limit.
struct WaitPlace : Place {};
struct LimitPlace : Place {};

}  // namespace detail

// What co_await takes; await it at once. A wait that is limited by a stop token ends when any thread requests the stop,
// which goes before what is ready. Lies in the coroutine's frame, and when that is destroyed, the wait is over:
// nobody resumes it any more. It throws an Exception or std::bad_alloc if the first wait of a queue finds no
// descriptors or memory for it.
//
// A wait that finds at once what it is for does not suspend, but gives others a turn each 64th time. Coroutines are
// resumed one after the other, and may do what callbacks may: remove interfaces, destroy the context, or coroutines
// that wait. Those that wait when their interface is removed, or the context ends, are resumed by Context::remove() or
// the destructor, with `closed`; nobody else is resumed within a coroutine. (Not in a child of fork(): there, they stay
// suspended.) What a coroutine throws comes out there, if its type lets it; in these two, it ends the program.
class [[nodiscard]] Wait : detail::WaitPlace, detail::LimitPlace {
 public:
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;
  ~Wait() = default;

  bool await_ready() noexcept;
  bool await_suspend(std::coroutine_handle<> coroutine);
  Waited await_resume() noexcept {
    stop_.reset();
    return result_;
  }

 private:
  friend class RxQueue;
  friend class TxQueue;
  friend class Interface;
  friend class detail::InterfaceWaits;
  friend class detail::Waits;
  friend class detail::Watch;

  enum class For : std::uint8_t { packets, room, link, no_link };
  struct Stop {  // any thread
    std::shared_ptr<detail::Waker> waker;
    void operator()() const noexcept;
  };

  Wait(detail::InterfaceWaits* waits, For what, RawRx* rx, RawTx* tx, std::size_t wanted,
       detail::WaitLimits&& limits) noexcept
      : waits_(waits), rx_(rx), tx_(tx), slots_(wanted), limits_(std::move(limits)), for_(what) {}
  bool there() noexcept;
  bool settle(Waited result) noexcept;

  detail::InterfaceWaits* const waits_;  // none: the interface is gone
  RawRx* const rx_;
  RawTx* const tx_;
  const std::size_t slots_;
  const detail::WaitLimits limits_;
  const For for_;
  bool settled_ = false;
  Waited result_ = Waited::ready;
  std::uint32_t epoch_ = 0;  // of the queue, when the wait began
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
  std::coroutine_handle<> coroutine_;
  std::optional<std::stop_callback<Stop>> stop_;
};

// A coroutine's type for those who have no other. The coroutine starts at once; its Task owns it, and destroys it
// unless it is done. Move-only. Control thread, if it waits for anything here.
class [[nodiscard]] Task {
 public:
  struct promise_type;

  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(coroutine_, other.coroutine_);
    return *this;
  }
  // Not within the coroutine itself.
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }

  bool done() const noexcept { return coroutine_.done(); }
  // What a coroutine that is done has thrown, if it has.
  void get() const;

  // co_await task: waits until it is done, and throws what it has thrown. One coroutine at a time.
  auto operator co_await() const noexcept;

 private:
  explicit Task(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
  std::coroutine_handle<promise_type> coroutine_;
};

struct Task::promise_type {
  struct Last {
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
      return self.promise().waiting;
    }
    void await_resume() const noexcept {}
  };

  Task get_return_object() noexcept { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
  std::suspend_never initial_suspend() const noexcept { return {}; }
  Last final_suspend() const noexcept { return {}; }
  void return_void() const noexcept {}
  void unhandled_exception() noexcept { thrown = std::current_exception(); }

  std::coroutine_handle<> waiting = std::noop_coroutine();
  std::exception_ptr thrown;
};

inline void Task::get() const {
  if (coroutine_.promise().thrown) std::rethrow_exception(coroutine_.promise().thrown);
}

inline auto Task::operator co_await() const noexcept {
  struct End {
    const Task& task;
    bool await_ready() const noexcept { return task.done(); }
    void await_suspend(std::coroutine_handle<> waiting) const noexcept { task.coroutine_.promise().waiting = waiting; }
    void await_resume() const { task.get(); }
  };
  return End{*this};
}

template <class... Limits>
Wait RxQueue::ready(const Limits&... limits) noexcept {
  return ready_within(detail::WaitLimits(limits...));
}
template <class... Limits>
Wait TxQueue::room(std::size_t wanted, const Limits&... limits) noexcept {
  return room_within(wanted, detail::WaitLimits(limits...));
}
template <class... Limits>
Wait Interface::until_connected(const Limits&... limits) noexcept {
  return until(true, detail::WaitLimits(limits...));
}
template <class... Limits>
Wait Interface::until_disconnected(const Limits&... limits) noexcept {
  return until(false, detail::WaitLimits(limits...));
}

}  // namespace memif

#endif  // C++20
