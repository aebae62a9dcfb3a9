// How the generations of the C API differ, beyond the types and functions that their headers declare.
#pragma once

#include "code.hpp"

namespace memif::capi {

// What memif_tx_burst makes of more buffers than are allocated: an error, or a burst of those that are.
enum class Surplus { refused, ignored };

struct Generation {
  Codes codes = Codes::with_connrefused;
  // MEMIF_BUFFER_FLAG_RX, which memif_rx_burst sets and memif_buffer_enq_tx takes away; 0: not in this generation.
  unsigned received_flag = 2;
  Surplus surplus = Surplus::ignored;
  // A slave's receive queue that on_connect left as it was gets its buffers posted by the library.
  bool posts_untouched = false;
  // memif_control_fd_handler and memif_poll_event return what on_interrupt returned.
  bool interrupt_results = false;
};

inline constexpr Generation generation_2{.codes = Codes::without_connrefused, .posts_untouched = true};
inline constexpr Generation generation_21{};
inline constexpr Generation generation_3{};
inline constexpr Generation generation_4{.received_flag = 0, .surplus = Surplus::refused, .interrupt_results = true};

}  // namespace memif::capi
