#include "hook.hpp"

namespace memif::hook {
thread_local void (*on_shared_load)(void* address) = nullptr;
}  // namespace memif::hook
