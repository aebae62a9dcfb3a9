// memif_tx_burst. Mostly that is one call of the core, which publishes the next slots as the program's buffers say.
//
// But a ring has no holes, and programs leave some: they allocate more buffers than they send, or send a packet of no
// bytes. The packets behind such a gap move up into the buffers that were left out. That costs a copy; a program that
// sends what it has allocated never gets there.
//
// A packet may come in several calls, each but the last ending with a buffer that says NEXT. The queue holds such
// parts: the peer sees the packet when its end has come, whole.
#pragma once

#include "data.hpp"
#include "generation.hpp"

namespace memif::capi {

// What the program's buffers say of packets to be sent. None may be empty, and each must be the one of its slot.
template <class Buffer>
struct BufferSource {
  const Buffer* buffers;

  DescriptorWord word(std::size_t i) const noexcept { return word_of(buffers[i]); }
  std::byte* data(std::size_t i) const noexcept { return static_cast<std::byte*>(buffers[i].data); }
  bool in_place(std::size_t i, std::size_t slot) const noexcept {
    return buffers[i].desc_index == static_cast<std::uint16_t>(slot);
  }
};

// How far beyond the next slot to be sent a slot is.
inline std::size_t distance(const TxState& state, std::uint16_t slot) noexcept {
  return static_cast<std::uint16_t>(slot - state.queue->slot(0)) & (state.queue->ring_size() - 1);
}

// Sends packets that begin beyond the next slot. One call's work, under the queue's lock.
template <class Buffer>
class GapCloser {
 public:
  // `parts`: whether a packet without an end at the end of what is sent is to be held.
  GapCloser(TxState& state, bool parts) noexcept
      : state_(state), queue_(*state.queue), epoch_(state.epoch), parts_(parts) {}

  // The buffers that are done with, sent or empty; allocated ones between them are given up. Out of order: none.
  [[gnu::noinline]] std::size_t send(const Buffer* buffers, std::size_t count) noexcept {
    if (!ascending(buffers, count)) return 0;
    std::size_t done = 0;
    std::size_t used = 0;  // slots that the program has no more use for, from the next on
    while (done != count) {
      const Buffer* const packet = buffers + done;
      std::size_t parts = whole_packet(packet, count - done);
      const bool ends = parts != 0;
      if (!ends && !parts_) break;
      if (!ends) parts = count - done;
      const std::size_t end = distance(state_, packet[parts - 1].desc_index) + 1;
      const bool empty = ends && parts == 1 && packet[0].len == 0 && queue_.held() == 0;
      if (!empty && !(end == parts ? send_in_place(packet, parts, ends) : move_up(packet, parts, ends))) break;
      used = empty ? end : end - parts;
      done += parts;
    }
    if (used >= state_.had) state_.had = 0;
    return done;
  }

 private:
  struct Place {
    std::byte* data = nullptr;
    std::uint32_t room = 0;
  };
  // What a packet is once its bytes lie at the start of the next buffers.
  struct Moved {
    const Buffer* buffers;
    DescriptorWord word(std::size_t i) const noexcept { return word_of(buffers[i]); }
  };

  bool ascending(const Buffer* buffers, std::size_t count) const noexcept {
    std::size_t least = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t at = distance(state_, buffers[i].desc_index);
      if (at < least || at >= state_.had) return false;
      least = at + 1;
    }
    return true;
  }

  static std::size_t whole_packet(const Buffer* buffers, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i)
      if ((buffers[i].flags & 1) == 0) return i + 1;
    return 0;
  }

  template <class Source>
  bool send(std::size_t parts, Source source, bool ends) noexcept {
    if (!ends) return hold(parts, source);
    const std::size_t published = queue_.publish(parts, source).buffers;
    state_.had = static_cast<std::uint16_t>(state_.had - published);
    return published == parts;
  }

  template <class Source>
  bool hold(std::size_t parts, Source source) noexcept {
    const bool first = queue_.held() == 0;
    if (queue_.hold(parts, source)) {
      state_.had = static_cast<std::uint16_t>(state_.had - parts);
      return true;
    }
    if (first || queue_.held() != 0) return false;
    state_.had = 0;  // they were counted from where the packet began
    log(LogLevel::warning, "memif_tx_burst: a packet whose end never comes fills its ring, and is given up");
    return false;
  }

  bool send_in_place(const Buffer* packet, std::size_t parts, bool ends) noexcept {
    return send(parts, BufferSource<Buffer>{packet}, ends);
  }

  // A buffer moves to a slot before its own, or stays: in this order none is overwritten that is still to be moved.
  bool move_up(const Buffer* packet, std::size_t parts, bool ends) noexcept {
    for (std::size_t i = 0; i < parts; ++i)
      if (!can_move(packet[i], i)) return false;
    for (std::size_t i = 0; i < parts; ++i) {
      const Place to = place(i);  // read anew: the peer may have changed it
      if (packet[i].len > to.room) return false;
      std::memmove(to.data, packet[i].data, packet[i].len);
    }
    return send(parts, Moved{packet}, ends);
  }

  bool can_move(const Buffer& buffer, std::size_t to) noexcept {
    const Place from = place(distance(state_, buffer.desc_index));
    if (from.data == nullptr || buffer.len == 0 || buffer.len > place(to).room) return false;
    const auto before = reinterpret_cast<std::uintptr_t>(buffer.data) - reinterpret_cast<std::uintptr_t>(from.data);
    return before <= from.room && buffer.len <= from.room - before;
  }

  // The buffer of an allocated slot, as it is now: a peer may have withdrawn it, and with it what the program holds. To
  // look is to find that the link has gone: then there is nothing, and what the program has is no more.
  Place place(std::size_t after) noexcept {
    Place found;
    queue_.peek(1, 1, 1, after,
                [&found](std::size_t, std::byte* data, DescriptorWord, std::uint32_t room, std::size_t) {
                  found = {data, room};
                });
    if (queue_.epoch() == epoch_) return found;
    forget_former_link(state_);
    return {};
  }

  TxState& state_;
  RawTx& queue_;
  const std::uint32_t epoch_;
  const bool parts_;
};

// Sends from the next slot on, closing the gaps that given-up buffers and empty packets leave. Stops before the first
// packet that has a buffer which is not allocated, or leaves its memory.
template <class Buffer>
Code tx_burst(void* handle, std::uint16_t index, Buffer* buffers, std::uint16_t count, std::uint16_t* sent,
              Surplus surplus) noexcept {
  auto* const connection = static_cast<Connection*>(handle);
  if (connection == nullptr) return Code::noconn;
  if (sent == nullptr || (buffers == nullptr && count != 0)) return Code::inval_arg;
  *sent = 0;
  TxState* const state = connection->tx(index);
  if (state == nullptr) return Code::qid;
  const std::lock_guard guard(state->lock);
  if (!use(*state)) [[unlikely]]
    return connection->down_code(false, index);
  RawTx& queue = *state->queue;
  const std::size_t allocated = std::min(count, state->had);
  std::size_t done = queue.publish(allocated, BufferSource<Buffer>{buffers}).buffers;
  state->had = static_cast<std::uint16_t>(state->had - done);
  if (done != allocated) [[unlikely]]
    done += GapCloser<Buffer>(*state, allocated == count).send(buffers + done, allocated - done);
  *sent = static_cast<std::uint16_t>(done);
  return done == (surplus == Surplus::refused ? count : allocated) ? Code::success : Code::inval_arg;
}

}  // namespace memif::capi
