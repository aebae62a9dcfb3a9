// For builds that watch the loads of what the peer can write (MEMIF_ON_SHARED_LOAD in ring.hpp): included first in each
// of their files, by the compiler's -include. Link with load_hook.cpp.
#pragma once

namespace memif::test {

// Called on this thread before each such load with the address of the value: it may count, and it may change the value.
extern thread_local void (*on_shared_load)(const void* address);

}  // namespace memif::test

#define MEMIF_ON_SHARED_LOAD(address) \
  (::memif::test::on_shared_load != nullptr ? ::memif::test::on_shared_load(address) : static_cast<void>(0))
