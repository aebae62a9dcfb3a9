// Memory that vanishes. A peer that may shrink a memory file can take pages away that are mapped here; touching them
// raises SIGBUS. Inside guarded memory the signal is answered with zero pages and told to whoever observes; any other
// SIGBUS goes to the handler that the application had installed before. docs/architecture.md, "Trust".
//
// A thread that blocks the signal is killed by the kernel instead, so every thread that touches guarded memory takes
// the signal out of its mask first: let_faults_in().
//
// The handler is for the whole process and is installed with the first guard, so a process whose peers all seal their
// memory never has it. An application that installs its own handler later must chain to the one that it finds.
#pragma once

#include <cstddef>
#include <utility>

#include <memif/error.hpp>

namespace memif {

// Told of a fault, inside the signal handler and on whatever thread touched the memory: may only do what a signal
// handler may. Outlives the guards that name it.
class FaultObserver {
 public:
  virtual void memory_vanished() noexcept = 0;

 protected:
  ~FaultObserver() = default;
};

// Unblocks SIGBUS for the calling thread.
void let_faults_in() noexcept;

// Owns one entry of the table that the handler looks addresses up in. Move-only. Must go before the memory does.
class FaultGuard {
 public:
  FaultGuard() noexcept = default;
  FaultGuard(FaultGuard&& other) noexcept : entry_(std::exchange(other.entry_, none)) {}
  FaultGuard& operator=(FaultGuard&& other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~FaultGuard() { release(); }

  // `size` is a multiple of `page`, the page size of what is mapped there. An Error when the handler cannot be
  // installed or the table is full.
  static Result<FaultGuard> protect(std::byte* base, std::size_t size, std::size_t page);

  // From now on; at once if a fault has happened already. No effect without memory to guard.
  void observe(FaultObserver& observer) noexcept;
  // Whether some of the memory is zeros of ours by now.
  bool faulted() const noexcept;
  bool active() const noexcept { return entry_ != none; }

  void release() noexcept;

 private:
  static constexpr std::size_t none = ~std::size_t{0};
  explicit FaultGuard(std::size_t entry) noexcept : entry_(entry) {}

  std::size_t entry_ = none;
};

}  // namespace memif
