#include "load_hook.hpp"

namespace memif::test {

thread_local void (*on_shared_load)(const void* address) = nullptr;

}  // namespace memif::test
