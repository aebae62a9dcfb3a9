// The limit probe: the fastest that two cores can move packets through a ring of memif's layout.
//
// It moves the cache lines that the protocol makes them move, and nothing else: no checks, no library, no interrupts,
// roles and sizes known. Its variants are the tricks that might help; the limit is the best of them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/mman.h>
#include <vector>

#include <memif/wire.hpp>

#include "harness.hpp"

namespace bench {

struct Traffic {
  std::size_t size = 64;    // bytes a packet
  std::size_t burst = 32;   // packets
  std::size_t ring = 1024;  // descriptors
  bool to_server = true;
  Touch touch = Touch::lines;
  std::size_t buffer = 2048;  // bytes; longer packets are chains
};

struct Variant {
  const char* name;
  bool staggered;  // buffers an odd number of lines apart
  bool prefetch;   // write prefetch some slots ahead
};
inline constexpr Variant variants[] = {
    {"plain", false, false}, {"staggered", true, false}, {"prefetch", false, true}, {"staggered+prefetch", true, true}};

class Probe {
 public:
  Probe(const Traffic& traffic, const Variant& variant)
      : traffic_(traffic),
        prefetch_(variant.prefetch),
        parts_((traffic.size + traffic.buffer - 1) / traffic.buffer),
        stride_(traffic.buffer + (variant.staggered ? 64 : 0)),
        bytes_(memif::wire::ring_bytes(14) + traffic.ring * stride_) {
    memory_ = static_cast<std::byte*>(
        ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
    header_ = reinterpret_cast<memif::wire::RingHeader*>(memory_);
    slots_ = reinterpret_cast<Slot*>(header_ + 1);
    buffers_ = memory_ + memif::wire::ring_bytes(14);
    for (std::size_t i = 0; i < traffic.ring; ++i)
      slots_[i] = {0, 1, static_cast<std::uint32_t>(traffic.buffer), static_cast<std::uint32_t>(i * stride_), 0};
    if (!traffic.to_server) header_->head = static_cast<std::uint16_t>(traffic.ring);
    source_.resize(traffic.size + 64);
    target_.resize(traffic.size + 64);
  }
  ~Probe() { ::munmap(memory_, bytes_); }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  double run(std::chrono::milliseconds time) {
    return traffic_.to_server ? measure(
                                    time, [this] { client_send(); }, [this] { return server_receive(); })
                              : measure(
                                    time, [this] { server_send(); }, [this] { return client_receive(); });
  }

 private:
  struct Slot {
    std::uint16_t flags, region;
    std::uint32_t length, offset, metadata;
  };
  static_assert(sizeof(Slot) == 16);

  static std::uint16_t load(std::uint16_t& index) { return std::atomic_ref(index).load(std::memory_order_acquire); }
  static void store(std::uint16_t& index, std::uint16_t value) {
    std::atomic_ref(index).store(value, std::memory_order_release);
  }
  Slot& slot(std::uint16_t index) { return slots_[index & (traffic_.ring - 1)]; }

  std::size_t part(std::size_t p) const {
    return p + 1 < parts_ ? traffic_.buffer : traffic_.size - p * traffic_.buffer;
  }

  // The packets that fit, of a burst.
  std::size_t packets(std::uint16_t limit, std::uint16_t next) const {
    return std::min(traffic_.burst, static_cast<std::uint16_t>(limit - next) / parts_);
  }

  void fill(std::uint16_t index, std::size_t p) {
    if (prefetch_) __builtin_prefetch(buffers_ + slot(static_cast<std::uint16_t>(index + 8)).offset, 1);
    produce(buffers_ + slot(index).offset, part(p), traffic_.touch, index, source_.data() + p * traffic_.buffer);
  }
  void drain(std::uint16_t index, std::size_t p, std::size_t length) {
    sum_ += consume(buffers_ + slot(index).offset, length, traffic_.touch, target_.data() + p * traffic_.buffer);
  }

  void client_send() {
    auto limit = static_cast<std::uint16_t>(producer_.known + traffic_.ring);
    if (static_cast<std::uint16_t>(limit - producer_.next) < parts_ * traffic_.burst) {
      producer_.known = load(header_->tail);
      limit = static_cast<std::uint16_t>(producer_.known + traffic_.ring);
    }
    for (std::size_t n = packets(limit, producer_.next); n != 0; --n) {
      for (std::size_t p = 0; p < parts_; ++p, ++producer_.next) {
        fill(producer_.next, p);
        Slot& s = slot(producer_.next);
        if (s.length != part(p)) s.length = static_cast<std::uint32_t>(part(p));
        const std::uint16_t flags = p + 1 < parts_ ? 1 : 0;
        if (s.flags != flags) s.flags = flags;
      }
    }
    store(header_->head, producer_.next);
  }
  std::size_t server_receive() {
    if (consumer_.known == consumer_.next) consumer_.known = load(header_->head);
    const std::size_t count = packets(consumer_.known, consumer_.next);
    if (count == 0) return 0;
    for (std::size_t n = count; n != 0; --n)
      for (std::size_t p = 0; p < parts_; ++p, ++consumer_.next) drain(consumer_.next, p, slot(consumer_.next).length);
    store(header_->tail, consumer_.next);
    keep(sum_);
    return count;
  }

  void server_send() {
    if (static_cast<std::uint16_t>(producer_.known - producer_.next) < parts_ * traffic_.burst)
      producer_.known = load(header_->head);
    for (std::size_t n = packets(producer_.known, producer_.next); n != 0; --n) {
      for (std::size_t p = 0; p < parts_; ++p, ++producer_.next) {
        fill(producer_.next, p);
        Slot& s = slot(producer_.next);
        s.length = static_cast<std::uint32_t>(part(p));
        const std::uint16_t flags = p + 1 < parts_ ? 1 : 0;
        if (s.flags != flags) s.flags = flags;
      }
    }
    store(header_->tail, producer_.next);
  }
  std::size_t client_receive() {
    if (consumer_.known == consumer_.next) consumer_.known = load(header_->tail);
    const std::size_t count = packets(consumer_.known, consumer_.next);
    if (count == 0) return 0;
    for (std::size_t n = count; n != 0; --n) {
      for (std::size_t p = 0; p < parts_; ++p, ++consumer_.next) {
        Slot& s = slot(consumer_.next);
        drain(consumer_.next, p, s.length);
        s.length = static_cast<std::uint32_t>(traffic_.buffer);
      }
    }
    store(header_->head, static_cast<std::uint16_t>(consumer_.next + traffic_.ring));
    keep(sum_);
    return count;
  }

  struct alignas(128) Side {
    std::uint16_t next = 0, known = 0;
  };

  const Traffic traffic_;
  const bool prefetch_;
  const std::size_t parts_;
  const std::size_t stride_;
  const std::size_t bytes_;
  std::byte* memory_;
  memif::wire::RingHeader* header_;
  Slot* slots_;
  std::byte* buffers_;
  std::vector<std::byte> source_, target_;
  Side producer_, consumer_;
  alignas(128) std::uint64_t sum_ = 0;
};

}  // namespace bench
