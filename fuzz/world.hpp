// A link over memory that the fuzzer owns: what a peer can do to the shared memory, the fuzzer does, also between any
// two loads.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include <memif/tx_queue.hpp>

#include "data/queues.hpp"
#include "input.hpp"
#include "memory.hpp"

namespace memif::fuzz {

// Protected members of a queue: the harness checks that what it was shown agrees with them.
struct Peek : detail::Queue {
  using Queue::limit_;
  using Queue::next_;
};
inline std::uint16_t next_of(detail::Queue& queue) { return queue.*(&Peek::next_); }
inline std::uint16_t limit_of(detail::Queue& queue) { return queue.*(&Peek::limit_); }

// One side of an interface with its queues, and its hostile peer's hand in the memory.
class World {
 public:
  explicit World(Input& input);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // The queues that the fuzzer works on next: of one or two each way.
  RxQueue& rx() { return port_->rx(input_.upto(queues_ - 1)); }
  TxQueue& tx() { return port_->tx(input_.upto(queues_ - 1)); }
  bool client() const noexcept { return shape_.client; }
  std::uint32_t ring_size() const noexcept { return 1u << shape_.log2_size; }
  std::uint32_t buffer_size() const noexcept { return shape_.buffer_size; }
  std::uint64_t buffers_size() const noexcept { return views_[1].size; }

  // A fresh link in the place of the present one, or none.
  void relink(bool none);

  // The peer writes: an index, a descriptor or anything, honest or not.
  void disturb();

  // Until the next call of the library: counts its loads, and ends the run when there are too many.
  void begin_call(std::size_t most_loads) noexcept {
    loads_ = 0;
    most_loads_ = most_loads;
  }

  // A span that the library hands out: in a region and, as a client, within one buffer.
  void check_span(const std::byte* data, std::uint64_t length, std::uint64_t capacity) const;
  // As a server: the span is what the descriptor said when it was last loaded, not before or after.
  void check_as_loaded(const detail::Queue& queue, const std::byte* data, std::uint64_t length,
                       std::uint32_t slot) const;
  // As a client: every buffer is in exactly one slot of one ring, and its headroom fits it. What is wrong once stays so
  // as long as the link: looked at before the next, and at the end.
  void check_tables() const;

  // The application writes all of a span. A huge one by its ends only.
  void fill(std::byte* data, std::uint64_t length) const;

 private:
  struct Shape {
    bool client;
    unsigned log2_size;
    std::uint32_t buffer_size;
    std::uint32_t headroom;
    bool placed;
    bool posted;
  };
  struct RingMemory {
    wire::RingHeader* header;
    std::vector<wire::Descriptor> seen;  // each descriptor as it was when last loaded
    const void* queue = nullptr;         // whose it is
  };

  static void on_load(const void* address);
  void loaded(const void* address);
  void strike(const void* address);
  void keep_pace(RingMemory& ring);
  std::shared_ptr<detail::Link> make_link();
  detail::LinkRing make_link_ring(std::size_t index);
  void make_descriptors(detail::LinkRing& ring, std::size_t index, bool receives);
  bool s2m(std::size_t ring) const noexcept { return ring < queues_; }
  std::uint32_t stride() const noexcept;
  static wire::Descriptor* descriptors(const RingMemory& ring) {
    return reinterpret_cast<wire::Descriptor*>(ring.header + 1);
  }
  std::uint16_t& peer_index(const RingMemory& ring) const {
    return shape_.client ? ring.header->tail : ring.header->head;
  }
  void write_descriptor(wire::Descriptor& descriptor);

  static World* current;

  Input& input_;
  Shape shape_;
  std::uint32_t queues_;
  std::uint8_t pace_;         // how far the peer moves an index at each look, when the input is used up
  std::uint8_t rhythm_;       // and where it says NEXT
  std::uint64_t bait_word0_;  // and what else it writes into descriptors
  std::uint32_t bait_offset_;
  std::size_t loads_ = 0, most_loads_ = 0;
  std::vector<Memory> memory_;
  std::vector<detail::RegionView> views_;
  std::vector<RingMemory> rings_;  // S2M first, as a client lays them out
  std::unique_ptr<detail::Queues> port_;
  std::weak_ptr<detail::Link> link_;
};

}  // namespace memif::fuzz
