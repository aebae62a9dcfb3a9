// memifpp: packets through shared memory. This header is the C++ API, but for what costs those who do not use it:
// coroutine.hpp, raw.hpp (the queues in parts) and adapters/ (to other people's event loops).
#pragma once

#include <memif/config.hpp>
#include <memif/context.hpp>
#include <memif/error.hpp>
#include <memif/event_loop.hpp>
#include <memif/fd.hpp>
#include <memif/observe.hpp>
#include <memif/packet.hpp>
#include <memif/pool.hpp>
#include <memif/rx_queue.hpp>
#include <memif/stats.hpp>
#include <memif/tap.hpp>
#include <memif/tx_queue.hpp>
#include <memif/version.hpp>
#include <memif/wait_set.hpp>
