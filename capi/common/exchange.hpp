// Zero-copy calls: buffers change places between the rings of a slave. Generations 3 and 4.
#pragma once

#include <functional>
#include <mutex>
#include <utility>

#include "send.hpp"

namespace memif::capi {

// The buffers received become the next ones to be sent; what lay there takes their places.
template <class Buffer>
Code enqueue_tx(void* handle, std::uint16_t index, Buffer* buffers, std::uint16_t count,
                std::uint16_t* enqueued) noexcept {
  auto* const connection = static_cast<Connection*>(handle);
  if (connection == nullptr) return Code::noconn;
  if (enqueued == nullptr || (buffers == nullptr && count != 0)) return Code::inval_arg;
  *enqueued = 0;
  TxState* const to = connection->tx(index);
  if (to == nullptr) return Code::qid;
  if (!connection->client()) return Code::inval_arg;
  const std::lock_guard guard(to->lock);
  TxQueue& queue = *to->queue;
  if (!queue.renew()) return connection->down_code(false, index);
  forget_former_link(*to);
  for (std::uint16_t i = 0; i < count; ++i) {
    Buffer& buffer = buffers[i];
    RxState* const from = connection->rx(buffer.queue);
    if (from == nullptr) return Code::inval_arg;
    const std::lock_guard from_guard(from->lock);
    if (!from->queue->holds(buffer.desc_index)) return Code::inval_arg;
    if (!queue.exchange(*from->queue, buffer.desc_index, to->allocated))
      return queue.room() <= to->allocated ? Code::nobuf_ring : Code::inval_arg;
    buffer.desc_index = queue.slot(to->allocated++);
    buffer.queue = static_cast<QueueState*>(to);
    ++*enqueued;
  }
  return Code::success;
}

template <class Buffer>
bool exchange_rx(RxState& a_state, const Buffer& a, RxState& b_state, const Buffer& b) noexcept {
  return a_state.queue->renew() && a_state.queue->exchange(a.desc_index, *b_state.queue, b.desc_index);
}

template <class Buffer>
bool exchange_tx(TxState& a_state, const Buffer& a, TxState& b_state, const Buffer& b) noexcept {
  if (!a_state.queue->renew()) return false;
  const std::size_t a_after = distance(a_state, a.desc_index), b_after = distance(b_state, b.desc_index);
  return a_after < a_state.allocated && b_after < b_state.allocated &&
         a_state.queue->exchange(a_after, *b_state.queue, b_after);
}

template <class Buffer>
bool exchange_mixed(TxState& tx, const Buffer& sent, RxState& rx, const Buffer& received) noexcept {
  if (!tx.queue->renew()) return false;
  const std::size_t after = distance(tx, sent.desc_index);
  return after < tx.allocated && rx.queue->holds(received.desc_index) &&
         tx.queue->exchange(*rx.queue, received.desc_index, after);
}

// The places of two buffers, each received or allocated, are exchanged: each structure keeps its memory.
template <class Buffer>
Code requeue(void* handle, Buffer* a, Buffer* b) noexcept {
  auto* const connection = static_cast<Connection*>(handle);
  if (connection == nullptr) return Code::noconn;
  if (!connection->client() || a == nullptr || b == nullptr) return Code::inval_arg;
  RxState *const a_rx = connection->rx(a->queue), *const b_rx = connection->rx(b->queue);
  TxState *const a_tx = connection->tx(a->queue), *const b_tx = connection->tx(b->queue);
  QueueState* first = a_rx != nullptr ? static_cast<QueueState*>(a_rx) : a_tx;
  QueueState* second = b_rx != nullptr ? static_cast<QueueState*>(b_rx) : b_tx;
  if (first == nullptr || second == nullptr) return Code::inval_arg;
  // As in enqueue_tx(), transmit queues first; else by address.
  const bool swap_order = a_rx != nullptr && b_tx != nullptr;
  const bool same_kind = (a_rx != nullptr) == (b_rx != nullptr);
  if (swap_order || (same_kind && std::less<>()(second, first))) std::swap(first, second);
  const std::lock_guard first_guard(first->lock);
  std::unique_lock<Lock> second_guard;
  if (second != first) second_guard = std::unique_lock(second->lock);
  const bool done = a_rx != nullptr
                        ? (b_rx != nullptr ? exchange_rx(*a_rx, *a, *b_rx, *b) : exchange_mixed(*b_tx, *b, *a_rx, *a))
                        : (b_rx != nullptr ? exchange_mixed(*a_tx, *a, *b_rx, *b) : exchange_tx(*a_tx, *a, *b_tx, *b));
  if (!done) return connection->connected() ? Code::inval_arg : Code::disconnected;
  std::swap(a->desc_index, b->desc_index);
  std::swap(a->queue, b->queue);
  return Code::success;
}

// Allocated buffers from this one on are free again.
template <class Buffer>
Code set_next_free(void* handle, std::uint16_t index, const Buffer* buffer) noexcept {
  auto* const connection = static_cast<Connection*>(handle);
  if (connection == nullptr) return Code::noconn;
  TxState* const state = connection->tx(index);
  if (state == nullptr) return Code::qid;
  if (buffer == nullptr) return Code::inval_arg;
  const std::lock_guard guard(state->lock);
  if (!state->queue->renew()) return connection->down_code(false, index);
  forget_former_link(*state);
  const std::size_t after = distance(*state, buffer->desc_index);
  if (after >= state->allocated) return after == state->allocated ? Code::success : Code::inval_arg;
  state->allocated = static_cast<std::uint16_t>(after);
  return Code::success;
}

}  // namespace memif::capi
