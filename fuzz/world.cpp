#include "world.hpp"

#include "../tests/support/load_hook.hpp"
#include "data/link.hpp"

namespace memif::fuzz {
namespace {

constexpr std::size_t ring_stride(unsigned log2_size) { return (wire::ring_bytes(log2_size) + 63) / 64 * 64; }

}  // namespace

World* World::current = nullptr;

World::World(Input& input)
    : input_(input),
      shape_{.client = input.byte() % 2 != 0,
             .log2_size = 1 + input.upto(4),
             .buffer_size = 64 * (1 + input.upto(3)),
             .headroom = input.upto(3) * 16,
             .placed = input.byte() % 4 == 1,
             .posted = input.byte() % 4 != 1},
      queues_(1 + input.upto(3) / 3),
      pace_(input.byte()),
      rhythm_(input.byte()),
      bait_word0_(input.number<std::uint64_t>()),
      bait_offset_(input.number<std::uint32_t>()) {
  if (shape_.placed) shape_.headroom = 0;  // as a valid configuration has it
  const std::size_t rings = std::size_t{2} * queues_;
  memory_.emplace_back(rings * ring_stride(shape_.log2_size));
  // The last buffer ends where its region does.
  memory_.emplace_back(shape_.client ? (rings * ring_size() - 1) * stride() + buffer_size()
                                     : 64 * input.upto(255) + 64);
  if (!shape_.client) memory_.emplace_back(64);
  for (const Memory& memory : memory_) views_.emplace_back(memory.data(), memory.size());
  if (!shape_.client) views_.emplace_back(huge_region(), huge_size);

  InterfaceConfig config;
  config.rx_queues = config.tx_queues = static_cast<std::uint16_t>(queues_);
  config.headroom = shape_.headroom;
  config.rx_mode = static_cast<RxMode>(input.upto(2));
  config.spin = std::chrono::microseconds(0);
  port_ = std::make_unique<detail::Queues>(config, std::nullopt, [] {});
  for (std::size_t i = 0; i < rings; ++i) {
    std::byte* const at = memory_[0].data() + i * ring_stride(shape_.log2_size);
    rings_.push_back({reinterpret_cast<wire::RingHeader*>(at), std::vector<wire::Descriptor>(ring_size())});
    if (s2m(i) == shape_.client)
      rings_[i].queue = &port_->tx(i % queues_).raw();
    else
      rings_[i].queue = &port_->rx(i % queues_).raw();
  }
  current = this;
  test::on_shared_load = &World::on_load;
  relink(false);
}

World::~World() {
  test::on_shared_load = nullptr;
  current = nullptr;
}

// Buffers lie a cache line apart: what is written past the end of one hits no other.
std::uint32_t World::stride() const noexcept { return buffer_size() + 64; }

detail::LinkRing World::make_link_ring(std::size_t index) {
  detail::LinkRing ring;
  ring.header = rings_[index].header;
  ring.spec = {.s2m = s2m(index),
               .index = static_cast<std::uint16_t>(index % queues_),
               .offset = static_cast<std::uint32_t>(index * ring_stride(shape_.log2_size)),
               .log2_size = static_cast<std::uint8_t>(shape_.log2_size)};
  const bool receives = ring.spec.s2m != shape_.client;
  if (receives) ring.dropped = std::make_unique<std::uint64_t[]>((ring_size() + 63) / 64);
  if (!receives && !shape_.client) ring.posted = std::make_unique<std::uint64_t[]>(ring_size());
  if (shape_.client) make_descriptors(ring, index, receives);
  return ring;
}

// Client: what the library's own make_client_link() does.
UNGUIDED void World::make_descriptors(detail::LinkRing& ring, std::size_t index, bool receives) {
  ring.offsets = std::make_unique<std::uint32_t[]>(ring_size());
  const std::uint32_t headroom = receives ? shape_.headroom : 0;
  for (std::uint32_t i = 0; i < ring_size(); ++i) {
    ring.offsets[i] = static_cast<std::uint32_t>((index * ring_size() + i) * stride() + headroom);
    wire::Descriptor& descriptor = descriptors(rings_[index])[i];
    descriptor.word0 = DescriptorWord::of(buffer_size() - headroom, false, 1).value;
    descriptor.offset = ring.offsets[i];
  }
}

std::shared_ptr<detail::Link> World::make_link() {
  auto link = std::make_shared<detail::Link>();
  link->client = shape_.client;
  link->views = views_;
  if (shape_.client) {
    link->buffer_region = 1;
    link->buffer_size = buffer_size();
    link->buffer_stride = stride();
    link->posted_headroom = shape_.headroom;
    link->placed = shape_.placed;
  }
  for (std::size_t i = 0; i < rings_.size(); ++i) {
    reset_ring(*rings_[i].header);
    (s2m(i) == shape_.client ? link->tx : link->rx).push_back(make_link_ring(i));
  }
  if (shape_.client && shape_.posted) post_all_buffers(*link);
  return link;
}

void World::relink(bool none) {
  check_tables();
  const std::shared_ptr<detail::Link> link = none ? nullptr : make_link();
  link_ = link;
  port_->set_link(link);
}

void World::on_load(const void* address) { current->loaded(address); }

UNGUIDED void World::loaded(const void* address) {
  const auto* const place = static_cast<const std::byte*>(address);
  if (place < memory_[0].data() || place >= memory_[0].data() + memory_[0].size()) return;  // that of no link
  require(++loads_ <= most_loads_, "a call that goes on forever");
  strike(address);
  for (RingMemory& ring : rings_) {
    const wire::Descriptor* const first = descriptors(ring);
    const auto* const at = static_cast<const wire::Descriptor*>(address);
    if (at >= first && at < first + ring_size()) ring.seen[static_cast<std::size_t>(at - first)] = *at;
  }
}

// The peer strikes between the last load and this one. When the input is used up, it goes on at its own pace.
void World::strike(const void* address) {
  if (!input_.empty()) {
    if (input_.byte() >= 0x80) disturb();
    return;
  }
  for (RingMemory& ring : rings_) {
    if (address == &ring.header->flags) return;
    if (address == &peer_index(ring)) return keep_pace(ring);
  }
  auto& descriptor = *static_cast<wire::Descriptor*>(const_cast<void*>(address));
  descriptor.word0 = (bait_word0_ & ~std::uint64_t{1}) | ((rhythm_ >> (loads_ / 2 % 8)) & 1u);
  descriptor.offset = bait_offset_;
}

// As far as a correct peer may go by now.
void World::keep_pace(RingMemory& ring) {
  std::uint16_t& index = peer_index(ring);
  const std::uint16_t own = shape_.client ? ring.header->head : ring.header->tail;
  const auto room = static_cast<std::uint16_t>(shape_.client ? own - index : own + ring_size() - index);
  if (room <= ring_size()) index = static_cast<std::uint16_t>(index + std::min<std::uint16_t>(room, pace_));
}

void World::write_descriptor(wire::Descriptor& descriptor) {
  const auto any = [this](std::uint32_t usual) {
    const std::uint8_t kind = input_.byte();
    return kind < 0xf0 ? usual * (kind % 16) : input_.number<std::uint32_t>();
  };
  const std::uint8_t kind = input_.byte();
  const auto region = static_cast<std::uint16_t>(kind % 16 == 15 ? input_.number<std::uint16_t>() : (kind >> 4) % 5);
  descriptor.word0 = DescriptorWord::of(any(16), kind % 4 == 1, region).value;
  if (kind % 16 == 14) descriptor.word0 ^= input_.number<std::uint16_t>();
  descriptor.offset = any(64);
  if (kind % 16 == 13) descriptor.metadata = input_.byte();
}

void World::disturb() {
  const std::uint8_t what = input_.byte();
  const RingMemory& ring = rings_[what % rings_.size()];
  switch (what / 4 % 8) {
    case 0:
    case 1:
    case 2:
      peer_index(ring) = static_cast<std::uint16_t>(peer_index(ring) + input_.upto(ring_size()));
      return;
    case 3:
      peer_index(ring) = input_.number<std::uint16_t>();
      return;
    case 4:
      ring.header->flags = input_.number<std::uint16_t>();
      return;
    case 5: {  // anywhere, also over this side's own index and the bytes between
      const auto at = input_.number<std::uint16_t>() % (memory_[0].size() / 8);
      const auto value = input_.number<std::uint64_t>();
      std::memcpy(memory_[0].data() + 8 * at, &value, sizeof value);
      return;
    }
    default:
      for (std::uint32_t n = 1 + what / 32 % 4, slot = input_.byte(); n != 0; --n, ++slot)
        write_descriptor(descriptors(ring)[slot % ring_size()]);
  }
}

UNGUIDED void World::check_span(const std::byte* data, std::uint64_t length, std::uint64_t capacity) const {
  require(length != 0, "a span has bytes");
  require(length <= capacity, "no span is longer than its buffer");
  bool inside = false;
  for (const detail::RegionView& view : views_)
    inside |= data >= view.base && capacity <= view.size &&
              static_cast<std::uint64_t>(data - view.base) <= view.size - capacity;
  require(inside, "a span lies inside a region");
  if (!shape_.client) return;
  require(data >= views_[1].base && data < views_[1].base + views_[1].size,
          "a client's span is in its buffers' region");
  const auto place = static_cast<std::uint64_t>(data - views_[1].base);
  require(shape_.placed || place % stride() + capacity <= buffer_size(), "a client's span is in one buffer");
}

UNGUIDED void World::check_as_loaded(const detail::Queue& queue, const std::byte* data, std::uint64_t length,
                                     std::uint32_t slot) const {
  require(slot < ring_size(), "the slot is one of the ring");
  if (shape_.client) return;
  for (const RingMemory& ring : rings_) {
    if (ring.queue != &queue) continue;
    const RawDescriptor descriptor{{ring.seen[slot].word0}, ring.seen[slot].offset};
    require(descriptor.word.region() < views_.size(), "the descriptor named a region");
    require(data == views_[descriptor.word.region()].base + descriptor.offset, "a span begins where it was checked");
    require(length == std::min(descriptor.word.length(), 1u << 20) || length == descriptor.word.length(),
            "a span has the length that was checked");
  }
}

UNGUIDED void World::check_tables() const {
  const std::shared_ptr<detail::Link> link = link_.lock();
  if (!shape_.client || link == nullptr) return;
  std::array<bool, 4 * 32> used{};
  for (const auto* rings : {&link->rx, &link->tx})
    for (const detail::LinkRing& ring : *rings)
      for (std::uint32_t i = 0; i < ring_size(); ++i) {
        const std::uint32_t offset = ring.offsets[i];
        if (shape_.placed) {
          require(std::uint64_t{offset} + buffer_size() <= buffers_size(), "buffers are in the region");
          continue;
        }
        const std::uint32_t buffer = offset / stride();
        require(buffer < rings_.size() * ring_size(), "a slot has a buffer");
        require(!std::exchange(used[buffer], true), "a buffer is in one slot of one ring");
        require(offset % stride() < buffer_size(), "a buffer has room behind its headroom");
      }
}

UNGUIDED void World::fill(std::byte* data, std::uint64_t length) const {
  constexpr std::uint64_t most = 1 << 14;
  std::memset(data, 0x5a, std::min(length, most));
  if (length > most) std::memset(data + length - 64, 0xa5, 64);
}

}  // namespace memif::fuzz
