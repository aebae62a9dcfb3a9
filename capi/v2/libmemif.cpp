// Generation 2 of the C API: names, structures and callbacks; what they do is in capi/core.
#include "libmemif.h"

#include "api.hpp"
#include "connection.hpp"
#include "details.hpp"
#include "exchange.hpp"
#include "legacy.hpp"
#include "rx_mode.hpp"

namespace {

using namespace memif::capi;

constexpr const Generation& generation = generation_2;

int number(Code code) { return value_of(code, generation.codes); }

}  // namespace

extern "C" {

#include "calls.hpp"
#include "calls_of_2_and_21.hpp"
#include "calls_of_2_to_3.hpp"

MEMIF_API int memif_init(memif_control_fd_update_t* on_control_fd_update, char* app_name, memif_alloc_t* memif_alloc,
                         memif_free_t* memif_free) {
  const Memory memory(memif_alloc, nullptr, memif_free);
  return number(init_global(make_setup(generation, on_control_fd_update, app_name, memory)));
}

}  // extern "C"
