// Zero-copy calls: buffers change places between the rings of a slave.
#pragma once

#include <functional>
#include <mutex>
#include <utility>

#include "send.hpp"

namespace memif::capi {

// The queue that a buffer names: one of the two kinds, or neither.
struct Home {
  RxState* rx = nullptr;
  TxState* tx = nullptr;

  QueueState* state() const noexcept { return rx != nullptr ? static_cast<QueueState*>(rx) : tx; }
};

template <class Buffer>
Home home_of(Connection& connection, const Buffer& buffer) noexcept {
  return {connection.rx(queue_of(buffer)), connection.tx(queue_of(buffer))};
}

// The locks of two queues, always in the same order: transmit queues before receive queues, then by address.
class BothLocked {
 public:
  BothLocked(const Home& a, const Home& b) noexcept {
    QueueState* first = a.state();
    QueueState* second = b.state();
    const bool same_kind = (a.rx != nullptr) == (b.rx != nullptr);
    if (same_kind ? std::less<>()(second, first) : a.rx != nullptr) std::swap(first, second);
    first_ = std::unique_lock(first->lock);
    if (second != first) second_ = std::unique_lock(second->lock);
  }

 private:
  std::unique_lock<QueueLock> first_, second_;
};

// Whether the buffer of that slot is the program's, under the queue's lock.
inline bool has(const Home& home, std::uint16_t slot) noexcept {
  if (home.rx != nullptr) return home.rx->queue->holds(slot);
  if (!home.tx->queue->renew()) return false;
  forget_former_link(*home.tx);
  return distance(*home.tx, slot) < home.tx->had;
}

// The places of two buffers that the program has; a transmit slot may also be the next one after those.
inline bool exchange(const Home& a, std::uint16_t a_slot, const Home& b, std::uint16_t b_slot) noexcept {
  if (a.rx != nullptr && b.rx != nullptr) return a.rx->queue->exchange(a_slot, *b.rx->queue, b_slot);
  if (a.rx != nullptr) return b.tx->queue->exchange(*a.rx->queue, a_slot, distance(*b.tx, b_slot));
  if (b.rx != nullptr) return exchange(b, b_slot, a, a_slot);
  return a.tx->queue->exchange(distance(*a.tx, a_slot), *b.tx->queue, distance(*b.tx, b_slot));
}

template <unsigned received_flag, class Buffer>
Code enqueue(const Home& from, Buffer& buffer, const Home& to) noexcept {
  if (from.state() == nullptr || from.tx == to.tx) return Code::inval_arg;
  const BothLocked guard(from, to);
  if (!has(from, buffer.desc_index)) return Code::inval_arg;
  TxState& state = *to.tx;
  forget_former_link(state);
  const std::uint16_t slot = state.queue->slot(state.had);
  if (state.had == state.queue->ring_size() || !exchange(from, buffer.desc_index, to, slot))
    return state.queue->room() <= state.had ? Code::nobuf_ring : Code::inval_arg;
  // Nobody has what came in its place: as the last one of its queue it is free again.
  if (from.tx != nullptr && distance(*from.tx, buffer.desc_index) + 1 == from.tx->had) --from.tx->had;
  ++state.had;
  buffer.desc_index = slot;
  queue_of(buffer) = to.state();
  buffer.flags &= static_cast<std::uint8_t>(~received_flag);
  return Code::success;
}

// Buffers received, or allocated in another queue, become the next ones to be sent; what lay there takes their places.
template <unsigned received_flag, class Buffer>
Code enqueue_tx(void* handle, std::uint16_t index, Buffer* buffers, std::uint16_t count,
                std::uint16_t* enqueued) noexcept {
  auto* const connection = static_cast<Connection*>(handle);
  if (connection == nullptr) return Code::noconn;
  if (enqueued == nullptr || (buffers == nullptr && count != 0)) return Code::inval_arg;
  *enqueued = 0;
  TxState* const to = connection->tx(index);
  if (to == nullptr) return Code::qid;
  if (!connection->client()) return Code::inval_arg;
  {
    const std::lock_guard guard(to->lock);
    if (!to->queue->renew()) return connection->down_code(false, index);
  }
  for (; *enqueued != count; ++*enqueued) {
    Buffer& buffer = buffers[*enqueued];
    const Code code = enqueue<received_flag>(home_of(*connection, buffer), buffer, {.tx = to});
    if (code != Code::success) return code;
  }
  return Code::success;
}

// The places of two buffers, each received or allocated, are exchanged: each structure keeps its memory.
template <class Buffer>
Code requeue(void* handle, Buffer* a, Buffer* b) noexcept {
  auto* const connection = static_cast<Connection*>(handle);
  if (connection == nullptr) return Code::noconn;
  if (!connection->client() || a == nullptr || b == nullptr) return Code::inval_arg;
  const Home a_home = home_of(*connection, *a), b_home = home_of(*connection, *b);
  if (a_home.state() == nullptr || b_home.state() == nullptr) return Code::inval_arg;
  const BothLocked guard(a_home, b_home);
  if (!has(a_home, a->desc_index) || !has(b_home, b->desc_index) ||
      !exchange(a_home, a->desc_index, b_home, b->desc_index))
    return connection->connected() ? Code::inval_arg : Code::disconnected;
  std::swap(a->desc_index, b->desc_index);
  std::swap(queue_of(*a), queue_of(*b));
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
  if (after >= state->had) {
    const bool free = after + state->queue->held() < state->queue->ring_size();  // not the queue's, of a part
    return free && after == state->had ? Code::success : Code::inval_arg;
  }
  state->had = static_cast<std::uint16_t>(after);
  return Code::success;
}

}  // namespace memif::capi
