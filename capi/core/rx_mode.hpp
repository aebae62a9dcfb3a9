// memif_set_rx_mode: what the ring says and the event descriptor shows changes at once, as programs and their peers see
// it, though only the queue's own thread may change them. The queue's lock makes the caller's that for a moment.
#pragma once

#include <mutex>

#include "connection.hpp"

namespace memif::capi {

inline Code set_rx_mode(void* handle, unsigned mode, std::uint16_t index) noexcept {
  auto* const connection = static_cast<Connection*>(handle);
  if (connection == nullptr) return Code::noconn;
  RxState* const state = connection->rx(index);
  if (state == nullptr) return Code::qid;
  if (mode > 1) return Code::inval_arg;
  const std::lock_guard guard(state->lock);
  RawRx& queue = *state->queue;
  queue.set_mode(mode == 0 ? RxMode::interrupt : RxMode::polling);
  if (!queue.renew()) return Code::success;  // with the next link
  state->quiet = false;
  queue.disarm();  // what wakes those who wait in the core is not for the program
  const bool nothing = mode == 0 ? queue.arm() : !queue.pending();
  if (!nothing) queue.remind();
  return Code::success;
}

}  // namespace memif::capi
