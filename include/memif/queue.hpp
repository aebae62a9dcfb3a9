// The data path: receive and transmit queues.
#pragma once

#include <memif/packet.hpp>
#include <memif/rx_queue.hpp>
#include <memif/tx_queue.hpp>
