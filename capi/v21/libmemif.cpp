// Generation 2.1 of the C API: names, structures and callbacks; what they do is in capi/core.
#include "libmemif.h"

#include "api.hpp"
#include "connection.hpp"
#include "details.hpp"
#include "exchange.hpp"
#include "legacy.hpp"
#include "rx_mode.hpp"

namespace {

using namespace memif::capi;

constexpr const Generation& generation = generation_21;

int number(Code code) { return value_of(code, generation.codes); }

}  // namespace

extern "C" {

#include "calls.hpp"
#include "calls_of_21_and_3.hpp"
#include "calls_of_2_and_21.hpp"
#include "calls_of_2_to_3.hpp"

}  // extern "C"
