// Resources that run out: in armed stretches of this thread, the n-th request for memory or for something of the
// system's fails, and perhaps all that follow.
#pragma once

#include <atomic>
#include <cstddef>

namespace memif::faults {

enum class Extent {
  once,       // one request fails, the next succeeds
  from_then,  // all requests fail until the armed stretch is over
};

// One experiment. Requests are counted over all its armed stretches; no other thread's requests count or fail.
class Experiment {
 public:
  // `n` from 1. Where a call can fail in several ways, `variant` chooses.
  Experiment(unsigned n, Extent extent, unsigned variant) noexcept;
  ~Experiment();
  Experiment(const Experiment&) = delete;
  Experiment& operator=(const Experiment&) = delete;

  // What failed first, or null: nothing did, there was no n-th request.
  const char* failed() const noexcept { return failed_; }

  template <class Step>
  void armed(Step step) {
    const Stretch stretch;
    step();
  }

  // From the replaced functions: the errno to fail with, or 0.
  int ask(const char* call) noexcept;

 private:
  struct Stretch {
    Stretch() noexcept;
    ~Stretch();
    Stretch(const Stretch&) = delete;
    Stretch& operator=(const Stretch&) = delete;
  };

  unsigned left_;
  Extent extent_;
  unsigned variant_;
  bool failing_ = false;  // until the stretch is over
  const char* failed_ = nullptr;
};

// For allocation functions of a program's own: whether this request of the library's is to fail.
bool refused(const char* call) noexcept;

// What operator new has given and operator delete not taken back, all threads.
long blocks_in_use() noexcept;

}  // namespace memif::faults
