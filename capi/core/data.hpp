// The data calls but memif_tx_burst, for each generation's own buffer type. What a packet costs is in the inlined loops
// of the core.
//
// Each call holds its queue's lock: mostly one thread uses a queue, but another may refill it from on_connect, or take
// over. Calls on different queues do not meet.
#pragma once

#include <bit>
#include <cstddef>
#include <cstring>
#include <mutex>

#include "connection.hpp"

namespace memif::capi {

// The member by which a buffer names its queue: `ring` in generation 2, `queue` or both names later.
template <class Buffer>
auto& queue_of(Buffer& buffer) noexcept {
  if constexpr (requires { buffer.queue; })
    return buffer.queue;
  else
    return buffer.ring;
}

// A program's buffer is written in whole words, its padding too: a store for each. The word with length and flags is an
// DescriptorWord the other way round. `flags`: beside that of a chain.
template <unsigned flags = 0, class Buffer>
void write_buffer(Buffer& to, std::uint64_t slot, QueueState* state, DescriptorWord word, std::byte* data) noexcept {
  const auto put = [at = reinterpret_cast<std::byte*>(&to)](std::size_t offset, auto value) {
    std::memcpy(at + offset, &value, sizeof value);
  };
  static_assert(offsetof(Buffer, desc_index) == 0 && offsetof(Buffer, len) == 16);
  static_assert(offsetof(Buffer, flags) == 20 && offsetof(Buffer, data) == 24 && sizeof(Buffer) == 32);
  static_assert(wire::descriptor_flag_next == 1 && std::endian::native == std::endian::little);
  put(0, slot);
  put(8, state);
  put(16, std::rotl(word.value, 32) | std::uint64_t{flags} << 32);
  put(24, data);
}

// What a program's buffer says of its length and flags. In two loads: a program that sets the length stores four of the
// eight bytes that write_buffer() stored, and a load of all eight would wait until that store has left the processor,
// behind those of the packets.
template <class Buffer>
DescriptorWord word_of(const Buffer& buffer) noexcept {
  return DescriptorWord::of(buffer.len, (buffer.flags & 1) != 0);
}

// A sink for the core: writes the program's buffers, one after the other.
template <unsigned flags, class Buffer>
auto buffer_sink(Buffer* buffers, QueueState* state) noexcept {
  return [=](std::size_t i, std::byte* data, DescriptorWord word, std::uint32_t, std::size_t slot) {
    write_buffer<flags>(buffers[i], slot, state, word, data);
  };
}

// The array's end was reached or the ring was emptied; the latter consumes the event, and looks again, since a sender
// that published before it saw that interrupts are wanted signals nothing. If something is left, the event is renewed
// each time: a program may have read the descriptor itself. The program has what was taken: no link is let go of.
inline Code finish_on_interrupts(RxState& state, bool full) noexcept {
  RawRx& queue = *state.queue;
  state.quiet = false;
  const bool waiting = full ? queue.pending_here() : queue.left_here();  // no room for the next chain
  if (!waiting) {
    queue.disarm_here();
    if (queue.arm_here()) return Code::success;
  }
  queue.remind_here();
  return waiting ? Code::nobuf : Code::success;
}

// `flags`: those of every received buffer.
template <unsigned flags, class Buffer>
Code rx_burst(void* handle, std::uint16_t index, Buffer* buffers, std::uint16_t count,
              std::uint16_t* received) noexcept {
  auto* const connection = static_cast<Connection*>(handle);
  if (connection == nullptr) return Code::noconn;
  if (received == nullptr || (buffers == nullptr && count != 0)) return Code::inval_arg;
  *received = 0;
  RxState* const state = connection->rx(index);
  if (state == nullptr) return Code::qid;
  const std::lock_guard guard(state->lock);
  if (!use(*state)) [[unlikely]]
    return connection->down_code(true, index);
  RawRx& queue = *state->queue;
  const std::size_t taken = queue.take(count, buffer_sink<flags>(buffers, state), RawRx::LongPackets::split).buffers;
  *received = static_cast<std::uint16_t>(taken);
  forget_former_link(*state);  // the link may have gone since
  state->had += taken;
  if (!queue.up()) [[unlikely]]
    return connection->down_code(true, index);
  if (queue.mode() == RxMode::interrupt) return finish_on_interrupts(*state, taken == count);
  if (!state->quiet) [[unlikely]] {
    queue.disarm_here();
    state->quiet = true;
  }
  return taken == count && queue.pending_here() ? Code::nobuf : Code::success;
}

inline Code refill(void* handle, std::uint16_t index, std::uint16_t count, std::uint16_t headroom) noexcept {
  auto* const connection = static_cast<Connection*>(handle);
  if (connection == nullptr) return Code::noconn;
  RxState* const state = connection->rx(index);
  if (state == nullptr) return Code::qid;
  if (connection->client() && headroom >= connection->buffer_size()) return Code::inval_arg;
  const std::lock_guard guard(state->lock);
  const bool its_own = state->is_used_here();
  if (its_own && !use(*state)) [[unlikely]]
    return connection->down_code(true, index);
  RawRx& queue = *state->queue;
  if (const auto offset = connection->offset_callback(); offset != nullptr) [[unlikely]] {
    const std::size_t placed = queue.renew() ? std::min<std::size_t>(count, queue.held()) : 0;
    for (std::size_t i = 0; i < placed; ++i)
      if (!queue.place(i, offset(connection->context()))) return Code::inval_arg;
  }
  queue.release(count, headroom);
  forget_former_link(*state);
  // What another thread gives back, from on_connect perhaps, the one that took it still reads.
  if (its_own) state->had -= std::min<std::size_t>(state->had, count);
  return queue.up() ? Code::success : connection->down_code(true, index);
}

template <class Buffer>
std::size_t count_packets(const Buffer* buffers, std::size_t count) noexcept {
  std::size_t packets = 0;
  for (std::size_t i = 0; i < count; ++i) packets += (buffers[i].flags & 1) == 0 ? 1 : 0;
  return packets;
}

// A sink for buffers to be sent; `whole` ones have the length of all their room. It is two words, which travel in
// registers, so that whether there was a chain is noted in the queue's state.
template <class Buffer, bool whole>
struct ShowBuffers {
  Buffer* buffers;
  TxState* state;

  void operator()(std::size_t i, std::byte* data, DescriptorWord word, std::uint32_t room,
                  std::size_t slot) const noexcept {
    if (word.more()) state->chains = true;
    write_buffer(buffers[i], slot, state, whole ? DescriptorWord::of(room, word.more()) : word, data);
  }
};

template <class Buffer, bool whole>
std::size_t show_buffers(TxState& state, Buffer* buffers, std::size_t count, std::uint32_t size,
                         std::size_t most) noexcept {
  const ShowBuffers<Buffer, whole> show{buffers, &state};
  while (true) {
    const std::size_t shown = state.queue->peek(count, size, most, state.had, show);
    if (!forget_former_link(state)) [[likely]]
      return shown;
    if (!state.queue->up()) return 0;
  }
}

// Where the program wants the next buffers, if it says so itself.
[[gnu::noinline]] inline bool place_buffers(Connection& connection, TxState& state, std::size_t most) noexcept {
  RawTx& queue = *state.queue;
  const std::size_t room = queue.room();
  forget_former_link(state);
  const std::size_t placed = std::min(room - std::min<std::size_t>(room, state.had), most);
  for (std::size_t i = 0; i < placed; ++i)
    if (!queue.place(state.had + i, connection.offset_callback()(connection.context()))) return false;
  return true;
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
  if (!use(*state)) [[unlikely]]
    return connection->down_code(false, index);
  const std::size_t each = connection->buffer_size();
  const std::size_t most = size <= each ? count : count * ((size + each - 1) / each);
  if (connection->offset_callback() != nullptr) [[unlikely]]
    if (!place_buffers(*connection, *state, most)) return Code::inval_arg;
  state->chains = false;
  const std::size_t shown = size != 0 ? show_buffers<Buffer, false>(*state, buffers, count, size, most)
                                      : show_buffers<Buffer, true>(*state, buffers, count, 1, most);
  if (!state->queue->up()) [[unlikely]]
    return connection->down_code(false, index);
  state->had = static_cast<std::uint16_t>(state->had + shown);
  *allocated = static_cast<std::uint16_t>(shown);
  const std::size_t packets = state->chains ? count_packets(buffers, shown) : shown;
  return packets == count ? Code::success : Code::nobuf_ring;
}

}  // namespace memif::capi
