// A link over memory that the fuzzer owns: what a peer can do to the shared memory, the fuzzer does, also between any
// two loads.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include <memif/queue.hpp>

#include "input.hpp"
#include "port.hpp"

namespace memif::fuzz {

// Memory of an exact size, which AddressSanitizer guards on both sides.
class Memory {
 public:
  explicit Memory(std::size_t size) : data_(static_cast<std::byte*>(std::aligned_alloc(64, size))), size_(size) {
    std::memset(data_, 0, size);
  }
  Memory(Memory&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  Memory& operator=(Memory&&) = delete;
  ~Memory() { std::free(data_); }

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::byte* data_;
  std::size_t size_;  // a multiple of 64
};

// What protected members of a queue are: the harness checks that what it was shown agrees with them.
struct Peek : detail::Queue {
  using Queue::limit_;
  using Queue::next_;
};
inline std::uint16_t next_of(detail::Queue& queue) { return queue.*(&Peek::next_); }
inline std::uint16_t limit_of(detail::Queue& queue) { return queue.*(&Peek::limit_); }

// One interface side with a receive and a transmit queue, and its hostile peer's hand in the memory.
class World {
 public:
  explicit World(Input& input);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  RxQueue& rx() { return port_->rx(0); }
  TxQueue& tx() { return port_->tx(0); }
  bool client() const noexcept { return client_; }
  std::uint32_t ring_size() const noexcept { return 1u << log2_size_; }

  // A fresh link in the place of the present one, or none.
  void relink(bool none);

  // The peer writes: an index or a descriptor, honest or not.
  void disturb();

  // Until the next call of the library: counts its loads, and stops it when there are too many.
  void begin_call() noexcept { loads_ = 0; }

  // A span that the library hands out.
  void check_span(const std::byte* data, std::uint64_t length, std::uint64_t capacity) const;
  // As a receiver on a server, or a sender there: the span is what the descriptor said when it was last loaded.
  void check_as_loaded(const std::byte* data, std::uint64_t length, bool receiving, std::uint32_t slot) const;
  // As a client: the span lies in the buffer of that slot, and no other slot that is held has the same.
  void check_buffer(const std::byte* data, std::uint64_t capacity) const;
  // As a client: every buffer is in exactly one slot of one ring.
  void check_tables() const;

 private:
  static void on_load(void* address);
  void loaded(void* address);
  void change(void* address);
  detail::LinkRing make_ring(bool s2m, std::size_t offset, std::size_t first_buffer);
  std::shared_ptr<detail::Link> make_link();
  wire::RingHeader& header(bool s2m) const;
  wire::Descriptor* descriptors(bool s2m) const { return reinterpret_cast<wire::Descriptor*>(&header(s2m) + 1); }
  std::uint16_t& peer_index(bool s2m) const { return client_ ? header(s2m).tail : header(s2m).head; }
  void write_descriptor(wire::Descriptor& descriptor);

  static World* current;

  Input& input_;
  bool client_;
  unsigned log2_size_;
  std::uint32_t buffer_size_;
  std::uint32_t headroom_;
  bool post_;
  std::uint8_t pace_;         // how far the peer moves an index at each look, when the input is used up
  std::uint64_t bait_word0_;  // what it writes into descriptors then
  std::uint32_t bait_offset_;
  std::uint8_t rhythm_;  // and where it says NEXT
  std::size_t loads_ = 0;
  std::vector<Memory> memory_;
  std::vector<detail::RegionView> views_;
  std::array<std::vector<wire::Descriptor>, 2> seen_;  // by ring: each descriptor as it was when last loaded
  std::unique_ptr<detail::Port> port_;
  std::weak_ptr<detail::Link> link_;
};

}  // namespace memif::fuzz
