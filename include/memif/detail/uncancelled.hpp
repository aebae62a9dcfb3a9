// A scope in which the calling thread is not cancelled (pthread_cancel). Nearly every system call may be where a thread
// ends, and with it the process, if that is below a function that promises to throw nothing.
#pragma once

#include <pthread.h>

namespace memif {

class Uncancelled {
 public:
  Uncancelled() noexcept { ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~Uncancelled() { set(before_); }
  Uncancelled(const Uncancelled&) = delete;
  Uncancelled& operator=(const Uncancelled&) = delete;

  // A wait within it, in which the thread may be cancelled if it could be before. What holds it must not be noexcept.
  class Except {
   public:
    explicit Except(const Uncancelled& scope) noexcept { set(scope.before_); }
    ~Except() { set(PTHREAD_CANCEL_DISABLE); }
    Except(const Except&) = delete;
    Except& operator=(const Except&) = delete;
  };

 private:
  static void set(int state) noexcept {
    int ignored;
    ::pthread_setcancelstate(state, &ignored);
  }

  int before_ = PTHREAD_CANCEL_ENABLE;
};

}  // namespace memif
