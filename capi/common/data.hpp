// The data calls but memif_tx_burst, for each generation's own buffer type. What a packet costs is in the inlined loops
// of the core.
//
// One thread at a time uses a queue, but a program may refill it from on_connect while its worker is at it: each call
// holds the queue's lock. Calls on different queues do not meet.
#pragma once

#include <mutex>

#include "connection.hpp"

namespace memif::capi {

template <class Buffer>
concept NamesQueue = requires(Buffer buffer) {
  buffer.queue;
};

// A sink for the core: writes the program's buffers, one after the other.
template <class Buffer>
auto buffer_sink(Buffer* buffers, [[maybe_unused]] QueueState* state) noexcept {
  return [=](std::size_t i, std::byte* data, Extent extent, std::uint32_t, std::size_t slot) {
    Buffer& buffer = buffers[i];
    buffer.desc_index = static_cast<std::uint16_t>(slot);
    if constexpr (NamesQueue<Buffer>) buffer.queue = state;
    buffer.len = extent.length();
    buffer.flags = extent.more() ? 1 : 0;
    buffer.data = data;
  };
}

// The array's end was reached or the ring was emptied; the latter consumes the event, and looks again, since a sender
// that published before it saw that interrupts are wanted signals nothing. If something is left, the event is renewed
// each time: a program may have read the descriptor itself.
inline Code finish_on_interrupts(RxState& state, bool full) noexcept {
  RxQueue& queue = *state.queue;
  state.quiet = false;
  const bool waiting = full && queue.pending();
  if (!waiting) {
    queue.disarm();
    if (queue.arm()) return Code::success;
  }
  queue.remind();
  return waiting ? Code::nobuf : Code::success;
}

template <class Buffer>
Code rx_burst(void* handle, std::uint16_t index, Buffer* buffers, std::uint16_t count,
              std::uint16_t* received) noexcept {
  auto* const connection = static_cast<Connection*>(handle);
  if (connection == nullptr) return Code::noconn;
  if (received == nullptr || (buffers == nullptr && count != 0)) return Code::inval_arg;
  *received = 0;
  RxState* const state = connection->rx(index);
  if (state == nullptr) return Code::qid;
  const std::lock_guard guard(state->lock);
  RxQueue& queue = *state->queue;
  const std::size_t taken = queue.take(count, buffer_sink(buffers, state), RxQueue::LongPackets::split).buffers;
  *received = static_cast<std::uint16_t>(taken);
  if (!queue.up()) [[unlikely]]
    return connection->down_code(true, index);
  if (queue.mode() == RxMode::interrupt) return finish_on_interrupts(*state, taken == count);
  if (!state->quiet) [[unlikely]] {
    queue.disarm();
    state->quiet = true;
  }
  return taken == count && queue.pending() ? Code::nobuf : Code::success;
}

inline Code refill(void* handle, std::uint16_t index, std::uint16_t count, std::uint16_t headroom) noexcept {
  auto* const connection = static_cast<Connection*>(handle);
  if (connection == nullptr) return Code::noconn;
  RxState* const state = connection->rx(index);
  if (state == nullptr) return Code::qid;
  if (connection->client() && headroom >= connection->buffer_size()) return Code::inval_arg;
  const std::lock_guard guard(state->lock);
  RxQueue& queue = *state->queue;
  if (const auto offset = connection->offset_callback(); offset != nullptr) [[unlikely]] {
    const std::size_t placed = queue.renew() ? std::min<std::size_t>(count, queue.held()) : 0;
    for (std::size_t i = 0; i < placed; ++i)
      if (!queue.place(i, offset(connection->context()))) return Code::inval_arg;
  }
  queue.release(count, headroom);
  return queue.up() ? Code::success : connection->down_code(true, index);
}

// A new link has new buffers: nothing of it is allocated.
inline bool forget_former_link(TxState& state) noexcept {
  const std::uint32_t epoch = state.queue->epoch();
  if (state.epoch == epoch) return false;
  state.epoch = epoch;
  state.allocated = 0;
  return true;
}

template <class Buffer>
std::size_t count_packets(const Buffer* buffers, std::size_t count) noexcept {
  std::size_t packets = 0;
  for (std::size_t i = 0; i < count; ++i) packets += (buffers[i].flags & 1) == 0 ? 1 : 0;
  return packets;
}

// `count` packets of `size` bytes. How long a chain is, is up to whoever posted the buffers, and the API has no word
// for the length of the array: it must hold what packets of that size are in buffers of the interface's own
// buffer_size, and is not written beyond that. So a slave that posts smaller ones overruns nobody's array.
template <class Buffer>
Code buffer_alloc(void* handle, std::uint16_t index, Buffer* buffers, std::uint16_t count, std::uint16_t* allocated,
                  std::uint16_t size) noexcept {
  auto* const connection = static_cast<Connection*>(handle);
  if (connection == nullptr) return Code::noconn;
  if (allocated == nullptr || (buffers == nullptr && count != 0)) return Code::inval_arg;
  *allocated = 0;
  TxState* const state = connection->tx(index);
  if (state == nullptr) return Code::qid;
  const std::lock_guard guard(state->lock);
  TxQueue& queue = *state->queue;
  const std::size_t each = connection->buffer_size();
  const std::size_t most = count * std::max<std::size_t>(1, (size + each - 1) / each);
  if (const auto offset = connection->offset_callback(); offset != nullptr) [[unlikely]] {
    const std::size_t room = queue.room();
    forget_former_link(*state);
    const std::size_t placed = std::min(room - std::min<std::size_t>(room, state->allocated), most);
    for (std::size_t i = 0; i < placed; ++i)
      if (!queue.place(state->allocated + i, offset(connection->context()))) return Code::inval_arg;
  }
  bool chains = false;
  const bool whole = size == 0;
  if (whole) size = 1;
  const auto show = [&chains, whole, sink = buffer_sink(buffers, state)](std::size_t i, std::byte* data, Extent extent,
                                                                         std::uint32_t room, std::size_t slot) {
    chains |= extent.more();
    sink(i, data, whole ? Extent::of(room, extent.more()) : extent, room, slot);
  };
  std::size_t shown = queue.reserve(count, size, most, state->allocated, show);
  if (forget_former_link(*state)) [[unlikely]]
    shown = queue.reserve(count, size, most, 0, show);
  if (!queue.up()) [[unlikely]]
    return connection->down_code(false, index);
  state->allocated = static_cast<std::uint16_t>(state->allocated + shown);
  *allocated = static_cast<std::uint16_t>(shown);
  const std::size_t packets = chains ? count_packets(buffers, shown) : shown;
  return packets == count ? Code::success : Code::nobuf_ring;
}

}  // namespace memif::capi
