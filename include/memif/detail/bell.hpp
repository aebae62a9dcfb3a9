// What wakes a thread that sleeps for reasons of this process: a link that changed, a stop request. An eventfd that no
// peer has, so that none can keep it from being signalled, drained or closed.
#pragma once

#include <atomic>
#include <cstdint>

namespace memif::detail {

// Has a descriptor only once somebody is about to sleep on it. One thread at a time listens.
class Bell {
 public:
  Bell() noexcept = default;
  ~Bell();
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  // True if there is a descriptor now. Any thread. Rings of before are not heard: who makes a bell looks, after that,
  // at what they would have told.
  bool make() noexcept;
  // -1: it was never made. Else it stays, and is readable from a ring on until that is heard.
  int fd() const noexcept { return fd_.load(std::memory_order_seq_cst); }

  // Any thread, signal handlers. Leaves errno as it is.
  void ring() noexcept;

  // The listener: whether there is a ring to hear, which costs no system call, and hears all.
  bool rang() const noexcept { return rings_.load(std::memory_order_relaxed) != heard_; }
  void hear() noexcept;

 private:
  std::atomic<int> fd_{-1};
  // Counted before the descriptor is written to, so whoever finds it readable finds rang() true, however late the
  // ringer goes on. `heard_` is what was read from it.
  std::atomic<std::uint32_t> rings_{0};
  std::uint32_t heard_ = 0;
};

}  // namespace memif::detail
