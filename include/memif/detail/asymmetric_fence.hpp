// An asymmetric fence: a full fence that one thread has all others pass, those of this process and of every other one
// that uses memifpp.
//
// Where one side of an agreement acts often and the other rarely, the rare one makes both sides' fences: membarrier(2)
// interrupts each processor that runs such a thread. The other side only has to keep the compiler from reordering.
#pragma once

namespace memif::detail {

// Whether the system has them. Registers this process at its first call; from then on its threads pass the fences of
// others, too. The answer stays the same.
bool have_asymmetric_fence() noexcept;

// Only where have_asymmetric_fence() is true. Takes microseconds.
void asymmetric_fence() noexcept;

}  // namespace memif::detail
