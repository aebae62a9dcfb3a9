// Whose turn it is: one thread at a time works on an instance and what is on it.
//
// Programs create and delete interfaces on one thread while another one polls; bindings do by nature. So calls wait for
// each other. They do not wait for callbacks: the turn is given away while one runs, and what another thread does
// meanwhile is no more than what the callback itself might do. So a program may hold a lock of its own in a call that
// its callbacks take.
#pragma once

#include <atomic>
#include <cstdint>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

namespace memif::capi {

class TurnLock {
 public:
  // False if it is this thread's turn already, as in a signal handler. That is told by one word, so there is no moment
  // at which a handler could find it half done.
  bool take() noexcept {
    const pthread_t self = ::pthread_self();
    notice_fork(self);
    pthread_t owner = nobody;
    while (!owner_.compare_exchange_weak(owner, self, std::memory_order_acquire, std::memory_order_relaxed)) {
      if (owner == self) return false;
      if (owner != nobody) owner_.wait(owner, std::memory_order_relaxed);
      owner = nobody;
    }
    return true;
  }

  void give() noexcept {
    owner_.store(nobody, std::memory_order_release);
    owner_.notify_one();
  }

  // A time in which others may have it.
  class Away {
   public:
    explicit Away(TurnLock& turn) noexcept : turn_(turn) { turn_.give(); }
    ~Away() { turn_.take(); }
    Away(const Away&) = delete;
    Away& operator=(const Away&) = delete;

   private:
    TurnLock& turn_;
  };

 private:
  // In a child of fork() the owner may be a thread that only the parent has. The first thread that comes frees the
  // turn, and the others wait until it has: what owners there are later are the child's own.
  void notice_fork(pthread_t self) noexcept {
    const pid_t process = ::getpid();
    for (pid_t seen = process_.load(std::memory_order_acquire); seen != process;
         seen = process_.load(std::memory_order_acquire)) {
      if (seen == changing || !process_.compare_exchange_strong(seen, changing, std::memory_order_acquire)) {
        ::sched_yield();
        continue;
      }
      if (owner_.load(std::memory_order_relaxed) != self) owner_.store(nobody, std::memory_order_relaxed);
      process_.store(process, std::memory_order_release);
    }
  }

  static constexpr pthread_t nobody = 0;
  static constexpr pid_t changing = 0;
  std::atomic<pthread_t> owner_{nobody};
  std::atomic<pid_t> process_{::getpid()};
};

}  // namespace memif::capi
