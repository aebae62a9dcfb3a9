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
//              release, relaxed       seq_cst, remote_fence()       said that it stays awake has the sender pass one
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
#include <memif/detail/wire.hpp>

namespace memif {

#if defined(MEMIF_UNCHECKED)
// For measuring what the checks cost. Never for use: the peer may then read and write anything.
inline constexpr bool checked = false;
#else
inline constexpr bool checked = true;
#endif

// A descriptor copied out of shared memory: it cannot change any more, and nothing in it has been checked.
struct RawDescriptor {
  std::uint64_t word0 = 0;
  std::uint32_t offset = 0;

  std::uint16_t flags() const noexcept { return static_cast<std::uint16_t>(word0); }
  std::uint16_t region() const noexcept { return static_cast<std::uint16_t>(word0 >> 16); }
  std::uint32_t length() const noexcept { return static_cast<std::uint32_t>(word0 >> 32); }
  bool more() const noexcept { return (word0 & wire::descriptor_flag_next) != 0; }
  // Flags and region in one value: the fast paths compare both at once.
  std::uint32_t tag() const noexcept { return static_cast<std::uint32_t>(word0); }

  static constexpr std::uint32_t make_tag(std::uint16_t region, bool more) noexcept {
    return (std::uint32_t{region} << 16) | (more ? wire::descriptor_flag_next : 0u);
  }
  static constexpr std::uint64_t make_word0(std::uint64_t tag, std::uint32_t length) noexcept {
    return tag | (std::uint64_t{length} << 32);
  }
};

// Counts every load of the peer's values in builds that prove there is one each (tests define it); else nothing.
#if !defined(MEMIF_ON_SHARED_LOAD)
#define MEMIF_ON_SHARED_LOAD(address) static_cast<void>(0)
#endif

class Ring {
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
        awake_flag_(detail::have_remote_fences() ? wire::ring_flag_awake : 0) {}

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
      detail::remote_fence();
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
    return {std::atomic_ref(descriptor.word0).load(std::memory_order_relaxed),
            std::atomic_ref(descriptor.offset).load(std::memory_order_relaxed)};
  }
  RawDescriptor load(std::uint16_t index) const noexcept { return load(*descriptor(index)); }

  // Flags, region and length only: what a client reads back of its own descriptors.
  static RawDescriptor load_word0(wire::Descriptor& descriptor) noexcept {
    MEMIF_ON_SHARED_LOAD(&descriptor);
    return {std::atomic_ref(descriptor.word0).load(std::memory_order_relaxed), 0};
  }

  static void store_word0(wire::Descriptor& descriptor, std::uint64_t word) noexcept {
    std::atomic_ref(descriptor.word0).store(word, std::memory_order_relaxed);
  }
  void store_word0(std::uint16_t index, std::uint64_t word) noexcept { store_word0(*descriptor(index), word); }
  void store_offset(std::uint16_t index, std::uint32_t offset) noexcept {
    std::atomic_ref(descriptor(index)->offset).store(offset, std::memory_order_relaxed);
  }

  // These write a shared line only if it changes: a line left alone stays in the peer's cache. The comparison checks
  // nothing.
  static void update_word0(wire::Descriptor& descriptor, std::uint64_t word) noexcept {
    if (std::atomic_ref(descriptor.word0).load(std::memory_order_relaxed) != word) store_word0(descriptor, word);
  }
  static void update(wire::Descriptor& descriptor, std::uint64_t word0, std::uint32_t offset) noexcept {
    update_word0(descriptor, word0);
    std::atomic_ref shared(descriptor.offset);
    if (shared.load(std::memory_order_relaxed) != offset) shared.store(offset, std::memory_order_relaxed);
  }
  void update(std::uint16_t index, std::uint64_t word0, std::uint32_t offset) noexcept {
    update(*descriptor(index), word0, offset);
  }

 private:
  wire::Descriptor* descriptors_;
  std::uint16_t* flags_;
  std::uint16_t* mine_;
  std::uint16_t* theirs_;
  std::uint16_t mask_;
  std::uint16_t awake_flag_;  // 0 where there are no remote fences: nothing is promised then, and no promise taken
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
