// Included first in every file of a build that watches the loads of shared values (MEMIF_ON_SHARED_LOAD in ring.hpp).
#pragma once

namespace memif::hook {

// Called before each load with the address of the value: it may count, and it may change the value.
extern thread_local void (*on_shared_load)(void* address);

}  // namespace memif::hook

#define MEMIF_ON_SHARED_LOAD(address)                                                                 \
  (::memif::hook::on_shared_load != nullptr                                                           \
       ? ::memif::hook::on_shared_load(const_cast<void*>(static_cast<const volatile void*>(address))) \
       : static_cast<void>(0))
