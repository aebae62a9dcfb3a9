// The data calls, for each generation's own buffer type. What a packet costs is in the inlined loops of the core.
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
// that published before it saw that interrupts are wanted signals nothing.
inline Code finish_on_interrupts(RxState& state, bool full) noexcept {
  RxQueue& queue = *state.queue;
  state.quiet = false;
  if (state.epoch != queue.epoch()) {
    state.epoch = queue.epoch();
    state.reminded = false;
  }
  const bool waiting = full && queue.pending();
  if (!waiting) {
    queue.disarm();
    state.reminded = false;
    if (queue.arm()) return Code::success;
  }
  if (!state.reminded) queue.remind();
  state.reminded = true;
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
    state->reminded = false;
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
  if (const auto offset = connection->regions().get_offset; offset != nullptr && connection->client()) [[unlikely]] {
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

// `count` packets of `size` bytes; how many buffers those are is up to the ring, and the program's array has them.
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
  if (const auto offset = connection->regions().get_offset; offset != nullptr && connection->client()) [[unlikely]] {
    const std::size_t room = queue.room();
    forget_former_link(*state);
    const std::size_t each = connection->buffer_size();
    const std::size_t parts = std::max<std::size_t>(1, (size + each - 1) / each);
    const std::size_t placed = std::min(room - std::min<std::size_t>(room, state->allocated), count * parts);
    for (std::size_t i = 0; i < placed; ++i)
      if (!queue.place(state->allocated + i, offset(connection->context()))) return Code::inval_arg;
  }
  constexpr std::size_t any = 0xffff;
  bool chains = false;
  const bool whole = size == 0;
  if (whole) size = 1;
  const auto show = [&chains, whole, sink = buffer_sink(buffers, state)](std::size_t i, std::byte* data, Extent extent,
                                                                         std::uint32_t room, std::size_t slot) {
    chains |= extent.more();
    sink(i, data, whole ? Extent::of(room, extent.more()) : extent, room, slot);
  };
  std::size_t shown = queue.reserve(count, size, any, state->allocated, show);
  if (forget_former_link(*state)) [[unlikely]]
    shown = queue.reserve(count, size, any, 0, show);
  if (!queue.up()) [[unlikely]]
    return connection->down_code(false, index);
  state->allocated = static_cast<std::uint16_t>(state->allocated + shown);
  *allocated = static_cast<std::uint16_t>(shown);
  const std::size_t packets = chains ? count_packets(buffers, shown) : shown;
  return packets == count ? Code::success : Code::nobuf_ring;
}

// What the program's buffers say of packets to be sent. A buffer that is not the one of its slot counts as empty, which
// none may be.
template <class Buffer>
struct BufferSource {
  const Buffer* buffers;
  std::uint32_t first, mask;  // slot of the first; the ring's size less one

  Extent extent(std::size_t i) const noexcept {
    const bool in_place = ((buffers[i].desc_index ^ (first + i)) & mask) == 0;
    return Extent::of(in_place ? buffers[i].len : 0, (buffers[i].flags & 1) != 0);
  }
  std::byte* data(std::size_t i) const noexcept { return static_cast<std::byte*>(buffers[i].data); }
};

// Sends from the next slot on. Stops before the first packet that has a buffer that is not the one of its slot, is
// empty, or leaves its memory.
template <class Buffer>
Code tx_burst(void* handle, std::uint16_t index, Buffer* buffers, std::uint16_t count, std::uint16_t* sent) noexcept {
  auto* const connection = static_cast<Connection*>(handle);
  if (connection == nullptr) return Code::noconn;
  if (sent == nullptr || (buffers == nullptr && count != 0)) return Code::inval_arg;
  *sent = 0;
  TxState* const state = connection->tx(index);
  if (state == nullptr) return Code::qid;
  const std::lock_guard guard(state->lock);
  TxQueue& queue = *state->queue;
  if (!queue.renew()) [[unlikely]]
    return connection->down_code(false, index);
  forget_former_link(*state);
  const BufferSource<Buffer> source{buffers, queue.slot(0), queue.ring_size() - 1};
  const std::size_t published = queue.publish(std::min(count, state->allocated), source).buffers;
  state->allocated = static_cast<std::uint16_t>(state->allocated - published);
  *sent = static_cast<std::uint16_t>(published);
  return published == count ? Code::success : Code::inval_arg;
}

}  // namespace memif::capi
