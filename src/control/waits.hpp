// Coroutines that wait, and who resumes them. docs/architecture.md, "Coroutines".
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <memif/coroutine.hpp>

#include "control/reactor.hpp"
#include "data/queues.hpp"
#include "data/waiting.hpp"

namespace memif::detail {

class ContextImpl;

// All waits of a context. Control thread.
//
// A wait is in one list: that of its queue or interface while there is nothing, then `due_`, from where it is resumed.
// Those with a limit are in `limited_` as well. Queues that are looked at, again and again, are *hot*: those that wait
// for free slots, of which nobody tells, and within a poll() that may wait, receive queues whose mode has it spin. All
// others are armed.
class Waits {
 public:
  explicit Waits(ContextImpl& context);

  // ContextImpl::poll(): what lasts as long as that, unless it does not wait at all. Coroutines that are resumed
  // meanwhile leave their queues hot: they are looked at before the thread sleeps.
  class Spinning {
   public:
    Spinning(Waits& waits, bool spins) noexcept : waits_(waits), before_(std::exchange(waits.spinning_, spins)) {}
    ~Spinning() { waits_.spinning_ = before_; }
    Spinning(const Spinning&) = delete;
    Spinning& operator=(const Spinning&) = delete;

   private:
    Waits& waits_;
    const bool before_;
  };
  bool spinning() const noexcept { return spinning_; }
  // Then it is poll()'s turn: to look, and to wait as run_once() does. True: something has happened.
  bool any_hot() const noexcept { return !hot_.alone() || !due_.alone(); }
  bool poll(std::chrono::milliseconds timeout);

  // A stop token has spoken.
  void check_stops();

  void limit(Wait& wait) noexcept;
  void make_hot(Place& watch) noexcept { watch.join(hot_); }
  void nap(SteadyTime since) noexcept;

  // There is a result; the coroutine is resumed by resume_due(), or at the loop's next turn.
  void settle(Wait& wait, Waited result) noexcept;
  void settle_all(Place& list, Waited result) noexcept;
  void resume_later() noexcept;
  bool resume_due();
  // An interface is removed, or forgotten: of those that are due. Nobody else is resumed: whoever removes it may be a
  // coroutine.
  void close(const InterfaceWaits& interface);
  void forget(const InterfaceWaits& interface) noexcept;
  // Whether a wait that found all there may go on without giving others a turn.
  bool may_go_on() noexcept { return turns_left_ != 0 && --turns_left_ != 0; }

  Reactor& reactor() noexcept { return reactor_; }

 private:
  bool look();
  bool spin(SteadyTime start, std::optional<SteadyTime> deadline, std::chrono::nanoseconds limit);
  std::chrono::nanoseconds longest_spin() const noexcept;
  void arm_all();
  void on_timer();
  void resume_first(WaitPlace& of);
  void schedule(SteadyTime when) noexcept;

  static constexpr std::uint32_t turn = 64;

  ContextImpl& context_;
  Reactor& reactor_;
  Place hot_;  // Watches
  WaitPlace due_;
  LimitPlace limited_;
  Timer timer_;                          // not later than the first deadline or nap
  SteadyTime next_ = SteadyTime::max();  // what it is set to
  bool spinning_ = false;
  bool resuming_ = false;  // one after the other
  std::uint32_t turns_left_ = turn;
  std::uint32_t looks_ = 0;
  unsigned spins_in_vain_ = 0;
};

// A queue that was waited for. What it watches is quiet from the first event on at which nobody waits: another thread
// may use the queue then.
class Watch final : public Handler, public Place {
 public:
  Watch(Waits& waits, Queues& queues, const InterfaceConfig& config, RawRx* rx, RawTx* tx);  // throws
  ~Watch() override { end(); }

  void on_ready() override;
  // Before the queue's descriptor goes.
  void end() noexcept;

  // False: it is settled already.
  bool add(Wait& wait);
  bool idle() const noexcept { return waiting_.alone(); }
  WaitPlace& waiting() noexcept { return waiting_; }

  // Settles those that have what they wait for.
  bool look() noexcept;
  // Sees to it that what comes is noticed.
  void rest() noexcept;
  // Before a sleep.
  void arm() noexcept;
  std::chrono::nanoseconds spin() const noexcept;
  void nap() noexcept;

 private:
  Queue& queue() const noexcept;
  void listen();
  bool take_wake() noexcept;

  Waits& waits_;
  const InterfaceConfig& config_;
  RawRx* const rx_;
  RawTx* const tx_;
  int fd_ = -1;
  bool quiet_ = false;
  SteadyTime since_{};  // tx: when the present wait for slots began
  WaitPlace waiting_;
};

// An interface's part of them.
class InterfaceWaits {
 public:
  InterfaceWaits(Waits& all, const InterfaceConfig& config, Queues& queues) noexcept
      : all_(all), config_(config), queues_(queues) {}

  Watch& watch(RawRx& queue);  // throws
  Watch& watch(RawTx& queue);
  void await_link(Wait& wait, bool up) noexcept { wait.WaitPlace::join(up ? up_ : down_); }
  bool connected() const noexcept { return queues_.connected(); }

  // The link has come or gone, and callbacks have been told.
  void link_changed(bool up);
  // The interface is removed.
  void close();
  // In a child of fork(): nobody is resumed.
  void forget() noexcept;

  Waits& all() noexcept { return all_; }

 private:
  using Watches = std::vector<std::unique_ptr<Watch>>;
  static Watches& at_least(Watches& watches, std::size_t size);

  Waits& all_;
  const InterfaceConfig& config_;
  Queues& queues_;
  Watches rx_, tx_;
  WaitPlace up_, down_;
};

}  // namespace memif::detail
