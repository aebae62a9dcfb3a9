// One side of a link over memory of the test's, with a count of what that side loads; and the peer's moves.
#pragma once

#include <array>
#include <atomic>
#include <memory>

#include "data/queues.hpp"

namespace memif::test {

inline constexpr unsigned log2_ring = 4, ring_size = 1u << log2_ring;
inline constexpr std::uint32_t buffer_size = 256;

// Loads of what the peer can write, on this thread since the last clear().
struct Loads {
  struct OfRing {
    unsigned index = 0, flags = 0;
    std::array<unsigned, ring_size> descriptors{};
  };
  OfRing rx, tx;
  unsigned elsewhere = 0;
};

class WatchedLink {
 public:
  explicit WatchedLink(Role role);
  ~WatchedLink();
  WatchedLink(const WatchedLink&) = delete;
  WatchedLink& operator=(const WatchedLink&) = delete;

  RxQueue& rx() { return port_->rx(0); }
  TxQueue& tx() { return port_->tx(0); }
  const Loads& loads() const { return loads_; }
  void clear() { loads_ = {}; }

  // Puts the queues back to a fresh link.
  void reconnect();

  // The peer's descriptor of a slot: as a client it says where, as a server how long. `ring`: as this side sees it.
  enum class Direction { rx, tx };
  wire::Descriptor& descriptor(Direction ring, unsigned slot) { return ring_of(ring).descriptors[slot % ring_size]; }
  void describe(Direction ring, unsigned slot, std::uint32_t length, bool more = false, std::uint16_t region = 0);
  // The peer has moved on by `count`.
  void advance(Direction ring, unsigned count);

  bool inside(const std::byte* data, std::uint64_t length) const;

  // Called after each load is counted, before it happens.
  void (*meddle)(wire::Descriptor&) = nullptr;

 private:
  struct alignas(64) RingMemory {
    wire::RingHeader header{};
    std::array<wire::Descriptor, ring_size> descriptors{};
  };
  struct Memory {
    RingMemory s2m, m2s;
    alignas(64) std::array<std::byte, 2 * ring_size * buffer_size> buffers{};
  };

  static void on_load(const void* address);
  bool count(const void* address, RingMemory& ring, Loads::OfRing& loads);
  RingMemory& ring_of(Direction ring) { return (ring == Direction::rx) == client_ ? memory_->m2s : memory_->s2m; }
  std::uint32_t offset_of(Direction ring, unsigned slot);  // of the slot's own buffer
  detail::LinkRing make_ring(Direction direction);

  static thread_local WatchedLink* current;

  bool client_;
  std::unique_ptr<Memory> memory_ = std::make_unique<Memory>();
  std::unique_ptr<detail::Queues> port_;
  Loads loads_;
};

}  // namespace memif::test
