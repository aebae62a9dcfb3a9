// Full fences that one thread has all others pass: those of this process and of every other one that uses memifpp.
//
// Where one side of an agreement acts often and the other rarely, the rare one makes both sides' fences: membarrier(2)
// interrupts each processor that runs such a thread. The other side only has to keep the compiler from reordering.
#pragma once

namespace memif::detail {

// Whether the system has them. Registers this process at its first call; from then on its threads pass the fences of
// others, too. The answer stays the same.
bool have_remote_fences() noexcept;

// Only where have_remote_fences() is true. Takes microseconds.
void remote_fence() noexcept;

}  // namespace memif::detail
