// The limit probe: the fastest that two cores can move packets through rings of memif's layout.
//
// It moves the cache lines that the protocol makes them move, and nothing else: no checks, no descriptor written that
// need not change, no library, no interrupts; role, packet size and ring size are constants. Its variants are the
// tricks that might help; the limit is the best.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <sys/mman.h>
#include <utility>
#include <vector>

#include <memif/detail/queue.hpp>
#include <memif/detail/wire.hpp>

#include "harness.hpp"

namespace bench {

struct Variant {
  const char* name;
  bool two_pass = false;   // all payloads of a burst, then all descriptors; else packet by packet
  bool staggered = false;  // buffers an odd number of lines apart
  bool prefetch = false;   // for writing, some slots ahead
  bool patient = false;    // after a look in vain a pause, so that the index's line stays with the peer
  bool whole = false;      // a sender waits for room for a whole burst
};
inline constexpr Variant variants[] = {
    {.name = "plain"},
    {.name = "staggered", .staggered = true},
    {.name = "staggered, prefetch", .staggered = true, .prefetch = true},
    {.name = "staggered, two-pass", .two_pass = true, .staggered = true},
    {.name = "staggered, patient, whole bursts", .staggered = true, .patient = true, .whole = true},
    {.name = "staggered, two-pass, patient, whole bursts",
     .two_pass = true,
     .staggered = true,
     .patient = true,
     .whole = true},
};
inline constexpr std::size_t variant_count = std::size(variants);

struct Slot {
  std::uint64_t word0;  // as in wire::Descriptor
  std::uint32_t offset, metadata;
};
static_assert(sizeof(Slot) == sizeof(memif::wire::Descriptor));

// Rings and buffers as a client shares them, one ring a queue, used by one probe at a time.
class Arena {
 public:
  Arena(const Shape& shape, std::size_t queues)
      : shape_(shape), lane_bytes_(memif::wire::ring_bytes(14) + shape.ring * (shape.buffer + 64)), queues_(queues) {
    memory_ = static_cast<std::byte*>(::mmap(nullptr, lane_bytes_ * queues, PROT_READ | PROT_WRITE,
                                             MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
    if (memory_ == MAP_FAILED) std::abort();
  }
  ~Arena() { ::munmap(memory_, lane_bytes_ * queues_); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  memif::wire::RingHeader* header(std::size_t queue) const {
    return reinterpret_cast<memif::wire::RingHeader*>(memory_ + queue * lane_bytes_);
  }
  Slot* slots(std::size_t queue) const { return reinterpret_cast<Slot*>(header(queue) + 1); }
  std::byte* buffers(std::size_t queue) const { return memory_ + queue * lane_bytes_ + memif::wire::ring_bytes(14); }

  // As at the beginning of a connection; a server's free slots are those that its client posted.
  void reset(std::size_t stride) const {
    for (std::size_t queue = 0; queue < queues_; ++queue) {
      for (std::size_t i = 0; i < shape_.ring; ++i)
        slots(queue)[i] = {std::uint64_t{shape_.buffer} << 32, static_cast<std::uint32_t>(i * stride), 0};
      header(queue)->tail = 0;
      header(queue)->head = static_cast<std::uint16_t>(shape_.to_server ? 0 : shape_.ring);
    }
  }

 private:
  const Shape shape_;
  const std::size_t lane_bytes_, queues_;
  std::byte* memory_;
};

class Probe {
 public:
  virtual ~Probe() = default;
  virtual double run(std::chrono::milliseconds time) = 0;  // packets a second
};

template <Shape shape, std::size_t variant_index>
class ProbeVariant final : public Probe {
  static constexpr Variant variant = variants[variant_index];
  static constexpr std::size_t parts = shape.parts();
  static constexpr std::uint16_t mask = shape.ring - 1;
  static constexpr std::size_t stride = shape.buffer + (variant.staggered ? 64 : 0);
  static constexpr std::size_t ahead = 8;  // slots to prefetch ahead

 public:
  ProbeVariant(const Arena& arena, std::size_t burst, std::size_t queues)
      : arena_(arena), burst_(burst), queues_(queues), source_(shape.size + 64), target_(shape.size + 64) {}

  double run(std::chrono::milliseconds time) override {
    arena_.reset(stride);
    std::vector<Producer> producers(queues_);
    std::vector<Consumer> consumers(queues_);
    for (std::size_t q = 0; q < queues_; ++q) {
      producers[q] = {arena_.header(q), arena_.slots(q), arena_.buffers(q), 0, 0};
      consumers[q] = {arena_.header(q), arena_.slots(q), arena_.buffers(q), 0, 0};
    }
    const auto turn = [n = queues_](std::size_t& at) {
      return n == 1 ? 0 : std::exchange(at, at + 1 == n ? 0 : at + 1);
    };
    std::size_t out = 0, in = 0;
    return measure(
        time, [&] { send(producers[turn(out)]); }, [&] { return receive(consumers[turn(in)]); });
  }

 private:
  // Each thread's own lines.
  struct alignas(128) Producer {
    memif::wire::RingHeader* header;
    Slot* slots;
    std::byte* buffers;
    std::uint16_t next, limit;
  };
  struct alignas(128) Consumer {
    memif::wire::RingHeader* header;
    Slot* slots;
    std::byte* buffers;
    std::uint16_t next, limit;
  };

  static std::uint16_t load(std::uint16_t& index) { return std::atomic_ref(index).load(std::memory_order_acquire); }
  static void store(std::uint16_t& index, std::uint16_t value) {
    std::atomic_ref(index).store(value, std::memory_order_release);
  }
  static void wait() {
    if constexpr (variant.patient) pause();
  }

  static constexpr std::size_t length(std::uint16_t index, std::size_t p) {
    return shape.touch == Touch::mixed ? mixed[index % mixed_sizes] : shape.part(p);
  }
  static void describe(Slot& slot, std::uint16_t index, std::size_t p) {
    const std::uint64_t word =
        (std::uint64_t{length(index, p)} << 32) | (p + 1 < parts ? memif::wire::descriptor_flag_next : 0);
    std::atomic_ref shared(slot.word0);
    if (shared.load(std::memory_order_relaxed) != word) shared.store(word, std::memory_order_relaxed);
  }

  // A client knows where its buffers are; a server goes by the descriptors.
  static std::byte* at(const auto& side, std::uint16_t index, bool client) {
    const std::size_t slot = index & mask;
    return side.buffers + (client ? slot * stride : side.slots[slot].offset);
  }

  void fill(const Producer& side, std::uint16_t index, std::size_t p) {
    if constexpr (variant.prefetch)
      memif::detail::prefetch_to_write(at(side, static_cast<std::uint16_t>(index + ahead), shape.to_server));
    produce(at(side, index, shape.to_server), length(index, p), shape.touch, index, source_.data() + p * shape.buffer);
    if constexpr (shape.touch == Touch::written) lengths_[index % lengths_.size()] = shape.part(p);
  }

  void send(Producer& side) {
    Producer own = side;
    const std::size_t wanted = parts * burst_;
    if (static_cast<std::uint16_t>(own.limit - own.next) < wanted)
      own.limit =
          static_cast<std::uint16_t>(shape.to_server ? load(own.header->tail) + shape.ring : load(own.header->head));
    std::size_t free = std::min<std::size_t>(static_cast<std::uint16_t>(own.limit - own.next), wanted);
    free -= parts == 1 ? 0 : free % parts;
    if (free == 0 || (variant.whole && free < std::min(wanted, shape.ring / 2))) {
      side.limit = own.limit;
      wait();
      return;
    }
    const auto end = static_cast<std::uint16_t>(own.next + free);
    if constexpr (variant.two_pass) {
      for (std::uint16_t i = own.next; i != end;)
        for (std::size_t p = 0; p < parts; ++p, ++i) fill(own, i, p);
      for (std::uint16_t i = own.next; i != end;)
        for (std::size_t p = 0; p < parts; ++p, ++i) describe(own.slots[i & mask], i, p);
    } else {
      for (std::uint16_t i = own.next; i != end;)
        for (std::size_t p = 0; p < parts; ++p, ++i) {
          fill(own, i, p);
          describe(own.slots[i & mask], i, p);
        }
    }
    own.next = end;
    store(shape.to_server ? own.header->head : own.header->tail, end);
    side = own;
  }

  std::size_t receive(Consumer& side) {
    Consumer own = side;
    if (own.limit == own.next) own.limit = shape.to_server ? load(own.header->head) : load(own.header->tail);
    std::size_t count = std::min<std::size_t>(static_cast<std::uint16_t>(own.limit - own.next), parts * burst_);
    if (count == 0) {
      wait();
      return 0;
    }
    const auto end = static_cast<std::uint16_t>(own.next + count);
    std::uint64_t sum = 0;
    for (std::uint16_t i = own.next; i != end;)
      for (std::size_t p = 0; p < parts; ++p, ++i) {
        Slot& slot = own.slots[i & mask];
        std::atomic_ref shared(slot.word0);
        const std::uint64_t word = shared.load(std::memory_order_relaxed);
        // The length is the peer's to say, but known here unless they are mixed: what is read of it only keeps the
        // load.
        sum += word >> 32;
        const std::size_t size = shape.touch == Touch::mixed ? word >> 32 : shape.part(p);
        sum += consume(at(own, i, !shape.to_server), size, shape.touch, target_.data() + p * shape.buffer);
        // A client posts the slot again with the whole buffer.
        constexpr std::uint64_t posted = std::uint64_t{shape.buffer} << 32;
        if constexpr (!shape.to_server)
          if (word != posted) shared.store(posted, std::memory_order_relaxed);
      }
    keep(sum);
    own.next = end;
    if constexpr (shape.to_server)
      store(own.header->tail, end);
    else
      store(own.header->head, static_cast<std::uint16_t>(end + shape.ring));
    side = own;
    return count / parts;
  }

  const Arena& arena_;
  const std::size_t burst_, queues_;
  std::vector<std::byte> source_, target_;
  alignas(128) std::array<std::size_t, 64> lengths_{};  // as a program stores each packet's in a list of its own
};

// All variants for one shape.
class Limit {
 public:
  template <Shape shape>
  static Limit make(std::size_t burst, std::size_t queues) {
    auto arena = std::make_unique<Arena>(shape, queues);
    Probes probes = probes_of<shape>(*arena, burst, queues, std::make_index_sequence<variant_count>());
    return {std::move(arena), std::move(probes)};
  }

  // Runs every variant for a moment and keeps the `count` that were fastest.
  void qualify(std::size_t count, std::chrono::milliseconds time) {
    std::vector<std::pair<double, std::size_t>> rates;
    for (std::size_t i = 0; i < probes_.size(); ++i) rates.emplace_back(-probes_[i]->run(time), i);
    std::sort(rates.begin(), rates.end());
    finalists_.clear();
    for (std::size_t i = 0; i < std::min(count, rates.size()); ++i) finalists_.push_back({rates[i].second, {}});
  }

  // One more run of each.
  void run(std::chrono::milliseconds time) {
    for (Finalist& finalist : finalists_) finalist.rates.push_back(probes_[finalist.variant]->run(time));
  }

  struct Finalist {
    std::size_t variant;
    std::vector<double> rates;
  };
  const Finalist& best() const {
    return *std::max_element(finalists_.begin(), finalists_.end(),
                             [](const Finalist& a, const Finalist& b) { return median(a.rates) < median(b.rates); });
  }

 private:
  using Probes = std::vector<std::unique_ptr<Probe>>;

  Limit(std::unique_ptr<Arena> arena, Probes probes) : arena_(std::move(arena)), probes_(std::move(probes)) {}

  template <Shape shape, std::size_t... i>
  static Probes probes_of(const Arena& arena, std::size_t burst, std::size_t queues, std::index_sequence<i...>) {
    Probes probes;
    (probes.push_back(std::make_unique<ProbeVariant<shape, i>>(arena, burst, queues)), ...);
    return probes;
  }

  std::unique_ptr<Arena> arena_;
  Probes probes_;
  std::vector<Finalist> finalists_;
};

}  // namespace bench
