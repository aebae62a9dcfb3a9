// One ring in shared memory, seen from one side. docs/protocol.md, "Shared memory" and "Interrupts".
//
// This file is the only one that touches ring memory, and the only home of its memory orders. What the peer can write
// is loaded into copies; who calls checks a copy and uses that copy. The pairings:
//
//   A  publish()          release  ->  load_peer_index()  acquire   what a side wrote before it moved its index (packet
//                                                                   bytes, descriptors, slots given back) is visible to
//                                                                   the side that has seen the index
//   B  publish_to_receiver()       ->  unmask_and_look()            store index, load flags | store flags, load index:
//                          seq_cst                       seq_cst    at least one of the two sees the other's store, so
//                                                                   a receiver never sleeps on a packet (no lost
//                                                                   wakeup)
//   C  the same, after stay_awake()                                 B without the sender's fence: a receiver that has
//              release, relaxed   seq_cst, asymmetric_fence()       said that it stays awake has the sender pass one
//                                                                   before it looks. Waiting for the store of the index
//                                                                   means waiting for the packets', which are stored
//                                                                   into lines that the receiver has; a sender that
//                                                                   need not goes on meanwhile
//
// A ring does not know its role: a client's own index is `head` and its peer's `tail`, a server's the other way round,
// and that is settled when the view is made.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <memif/detail/asymmetric_fence.hpp>
#include <memif/detail/descriptor.hpp>
#include <memif/detail/variant.hpp>
#include <memif/detail/wire.hpp>

namespace memif {

class MEMIF_VARIANT Ring {
 public:
  // A ring that is always empty and always full: what a queue without a link looks at.
  Ring() noexcept;

  // `header` must be aligned to 16 bytes and followed by 2^log2_size descriptors. The caller has checked that.
  Ring(wire::RingHeader* header, unsigned log2_size, bool is_client) noexcept
      : descriptors_(reinterpret_cast<wire::Descriptor*>(header + 1)),
        flags_(&header->flags),
        mine_(is_client ? &header->head : &header->tail),
        theirs_(is_client ? &header->tail : &header->head),
        mask_(static_cast<std::uint16_t>((1u << log2_size) - 1)),
        awake_flag_(detail::have_asymmetric_fence() ? wire::ring_flag_awake : 0) {}

  std::uint32_t size() const noexcept { return std::uint32_t{mask_} + 1; }
  std::uint16_t slot(std::uint16_t index) const noexcept { return index & mask_; }

  // Pairing A, acquire.
  std::uint16_t load_peer_index() const noexcept {
    MEMIF_ON_SHARED_LOAD(theirs_);
    return std::atomic_ref(*theirs_).load(std::memory_order_acquire);
  }

  // Pairing A, release. For a receiver giving slots back: nobody waits for those with interrupts.
  void publish(std::uint16_t index) noexcept { std::atomic_ref(*mine_).store(index, std::memory_order_release); }

  // Pairings A, and B or C. For a sender: true if the receiver asks to be interrupted. A peer that breaks its promise
  // harms only itself.
  [[nodiscard]] bool publish_to_receiver(std::uint16_t index) noexcept {
    if (awake_) {
      publish(index);
      std::atomic_signal_fence(std::memory_order_seq_cst);
      MEMIF_ON_SHARED_LOAD(flags_);
      if ((std::atomic_ref(*flags_).load(std::memory_order_relaxed) & wire::ring_flag_awake) != 0) [[likely]]
        return false;
    }
    std::atomic_ref(*mine_).store(index, std::memory_order_seq_cst);
    MEMIF_ON_SHARED_LOAD(flags_);
    const std::uint16_t flags = std::atomic_ref(*flags_).load(std::memory_order_seq_cst);
    awake_ = (flags & awake_flag_) != 0;
    return (flags & wire::ring_flag_mask_interrupt) == 0;
  }

  // For a receiver that is awake: the sender need not interrupt.
  void mask_interrupts() noexcept {
    std::atomic_ref(*flags_).store(wire::ring_flag_mask_interrupt, std::memory_order_relaxed);
  }

  // For one that means to stay so: unmask_and_look() then costs it microseconds more.
  void stay_awake() noexcept {
    awake_ = awake_flag_ != 0;
    std::atomic_ref(*flags_).store(wire::ring_flag_mask_interrupt | awake_flag_, std::memory_order_relaxed);
  }

  // Pairings B and C. For a receiver about to sleep: asks for interrupts, then returns the peer's index as it is after
  // that. Sleep only if it has not moved.
  [[nodiscard]] std::uint16_t unmask_and_look() noexcept {
    std::atomic_ref(*flags_).store(0, std::memory_order_seq_cst);
    if (awake_) [[unlikely]] {
      detail::asymmetric_fence();
      awake_ = false;
    }
    MEMIF_ON_SHARED_LOAD(theirs_);
    return std::atomic_ref(*theirs_).load(std::memory_order_seq_cst);
  }

  // The descriptor of an index, and how many follow it, itself included, before the array ends.
  wire::Descriptor* descriptor(std::uint16_t index) const noexcept { return descriptors_ + slot(index); }
  std::uint32_t until_end(std::uint16_t index) const noexcept { return size() - slot(index); }

  // Two loads into a copy. The order against the index is pairing A's.
  static RawDescriptor load(wire::Descriptor& descriptor) noexcept {
    MEMIF_ON_SHARED_LOAD(&descriptor);
    return {{std::atomic_ref(descriptor.word0).load(std::memory_order_relaxed)},
            std::atomic_ref(descriptor.offset).load(std::memory_order_relaxed)};
  }
  RawDescriptor load(std::uint16_t index) const noexcept { return load(*descriptor(index)); }

  // Flags, region and length only: what a client reads back of its own descriptors.
  static DescriptorWord load_word(wire::Descriptor& descriptor) noexcept {
    MEMIF_ON_SHARED_LOAD(&descriptor);
    return {std::atomic_ref(descriptor.word0).load(std::memory_order_relaxed)};
  }

  static void store_word(wire::Descriptor& descriptor, DescriptorWord word) noexcept {
    std::atomic_ref(descriptor.word0).store(word.value, std::memory_order_relaxed);
  }
  void store_word(std::uint16_t index, DescriptorWord word) noexcept { store_word(*descriptor(index), word); }
  void store_offset(std::uint16_t index, std::uint32_t offset) noexcept {
    std::atomic_ref(descriptor(index)->offset).store(offset, std::memory_order_relaxed);
  }

  // These write a shared line only if it changes: a line left alone stays in the peer's cache. The comparison checks
  // nothing.
  static void update_word(wire::Descriptor& descriptor, DescriptorWord word) noexcept {
    if (std::atomic_ref(descriptor.word0).load(std::memory_order_relaxed) != word.value) store_word(descriptor, word);
  }
  static void update(wire::Descriptor& descriptor, DescriptorWord word, std::uint32_t offset) noexcept {
    update_word(descriptor, word);
    std::atomic_ref shared(descriptor.offset);
    if (shared.load(std::memory_order_relaxed) != offset) shared.store(offset, std::memory_order_relaxed);
  }
  void update(std::uint16_t index, DescriptorWord word, std::uint32_t offset) noexcept {
    update(*descriptor(index), word, offset);
  }

 private:
  wire::Descriptor* descriptors_;
  std::uint16_t* flags_;
  std::uint16_t* mine_;
  std::uint16_t* theirs_;
  std::uint16_t mask_;
  std::uint16_t awake_flag_;  // 0 where there are no asymmetric fences: nothing is promised then, and no promise taken
  bool awake_ = false;        // the receiver's promise: made by this side, or by the peer as it was seen last
};

// What the control side does to a ring before a queue works on it, and to describe it.

// Client: a ring as it is offered. The memory is fresh, and not yet shared.
inline void make_ring(wire::RingHeader& header) noexcept { header.cookie = wire::ring_cookie; }

// Server: whether the client made a ring here.
inline bool has_cookie(wire::RingHeader& header) noexcept {
  return std::atomic_ref(header.cookie).load(std::memory_order_relaxed) == wire::ring_cookie;
}

// Both roles start a connection at index 0. The peer learns of it through the control channel, which orders it.
inline void reset_ring(wire::RingHeader& header) noexcept {
  std::atomic_ref(header.head).store(0, std::memory_order_relaxed);
  std::atomic_ref(header.tail).store(0, std::memory_order_relaxed);
}

struct RingSnapshot {
  std::uint16_t head, tail, flags;
};
inline RingSnapshot snapshot(wire::RingHeader& header) noexcept {
  return {std::atomic_ref(header.head).load(std::memory_order_relaxed),
          std::atomic_ref(header.tail).load(std::memory_order_relaxed),
          std::atomic_ref(header.flags).load(std::memory_order_relaxed)};
}

}  // namespace memif
