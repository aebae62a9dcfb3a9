// Stands in for interrupt.cpp: system calls are not what these fuzzers look at, and cost most of their time.
#include "memory/interrupt.hpp"

namespace memif {

Result<Fd> make_interrupt() { return Fd(); }
Result<SharedFd> adopt_interrupt(SharedFd fd) { return fd; }
void signal_interrupt(int, uid_t) noexcept {}
bool drain_interrupt(int) noexcept { return true; }

}  // namespace memif
