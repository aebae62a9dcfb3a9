#include "world.hpp"

#include "hook.hpp"
#include "link.hpp"

namespace memif::fuzz {
namespace {

constexpr std::size_t ring_stride(unsigned log2_size) { return (wire::ring_bytes(log2_size) + 63) / 64 * 64; }

// Buffers lie a cache line apart: what is written past one's end hits no other.
constexpr std::uint32_t stride_of(std::uint32_t buffer_size) { return buffer_size + 64; }

}  // namespace

World* World::current = nullptr;

World::World(Input& input)
    : input_(input),
      client_(input.byte() % 2 != 0),
      log2_size_(1 + input.upto(4)),
      buffer_size_(64 * (1 + input.upto(3))),
      headroom_(input.upto(3) * 16),
      post_(input.byte() % 4 != 0),
      pace_(input.byte()),
      bait_word0_(input.number<std::uint64_t>()),
      bait_offset_(input.number<std::uint32_t>()),
      rhythm_(input.byte()) {
  const std::uint64_t stride = stride_of(buffer_size_);
  memory_.emplace_back(2 * ring_stride(log2_size_));
  memory_.emplace_back(client_ ? 2 * ring_size() * stride : 64 * (1 + std::size_t{input.byte()}));
  if (!client_) memory_.emplace_back(64);
  for (const Memory& memory : memory_) views_.emplace_back(memory.data(), memory.size());
  for (auto& seen : seen_) seen.resize(ring_size());
  const auto mode = static_cast<RxMode>(input.upto(2));
  port_ = std::make_unique<detail::Port>(
      InterfaceConfig{.headroom = headroom_, .rx_mode = mode, .spin = std::chrono::microseconds(0)}, [] {});
  current = this;
  hook::on_shared_load = &World::on_load;
  relink(false);
}

World::~World() {
  hook::on_shared_load = nullptr;
  current = nullptr;
}

wire::RingHeader& World::header(bool s2m) const {
  return *reinterpret_cast<wire::RingHeader*>(memory_[0].data() + (s2m ? 0 : ring_stride(log2_size_)));
}

detail::LinkRing World::make_ring(bool s2m, std::size_t offset, std::size_t first_buffer) {
  detail::LinkRing ring;
  ring.spec = {
      .s2m = s2m, .offset = static_cast<std::uint32_t>(offset), .log2_size = static_cast<std::uint8_t>(log2_size_)};
  ring.header = &header(s2m);
  const bool receives = s2m != client_;
  if (receives) ring.dropped = std::make_unique<std::uint64_t[]>((ring_size() + 63) / 64);
  if (!receives && !client_) ring.posted = std::make_unique<std::uint64_t[]>(ring_size());
  if (!client_) return ring;
  ring.offsets = std::make_unique<std::uint32_t[]>(ring_size());
  const std::uint32_t room = receives ? headroom_ : 0;
  for (std::uint32_t i = 0; i < ring_size(); ++i) {
    ring.offsets[i] = static_cast<std::uint32_t>((first_buffer + i) * stride_of(buffer_size_) + room);
    descriptors(s2m)[i].word0 = RawDescriptor::make_word0(RawDescriptor::make_tag(1, false), buffer_size_ - room);
    descriptors(s2m)[i].offset = ring.offsets[i];
  }
  return ring;
}

std::shared_ptr<detail::Link> World::make_link() {
  auto link = std::make_shared<detail::Link>();
  link->client = client_;
  link->views = views_;
  if (client_) {
    link->buffer_region = 1;
    link->buffer_size = buffer_size_;
    link->buffer_stride = stride_of(buffer_size_);
    link->posted_headroom = headroom_;
  }
  for (const bool s2m : {true, false}) {
    reset_ring(header(s2m));
    detail::LinkRing ring = make_ring(s2m, s2m ? 0 : ring_stride(log2_size_), s2m ? 0 : ring_size());
    (s2m == client_ ? link->tx : link->rx).push_back(std::move(ring));
  }
  if (client_ && post_) post_all_buffers(*link);
  return link;
}

void World::relink(bool none) {
  const std::shared_ptr<detail::Link> link = none ? nullptr : make_link();
  link_ = link;
  port_->set_link(link);
}

void World::on_load(void* address) { current->loaded(address); }

void World::loaded(void* address) {
  // Every loop over shared memory ends, however fast the peer is.
  auto* const place = static_cast<std::byte*>(address);
  if (place < memory_[0].data() || place >= memory_[0].data() + memory_[0].size()) return;  // that of no link
  require(++loads_ <= 64 + std::size_t{8} * ring_size() * ring_size(), "a call that goes on for ever");
  change(address);
  for (const bool s2m : {true, false}) {
    wire::Descriptor* const first = descriptors(s2m);
    auto* const at = static_cast<wire::Descriptor*>(address);
    if (at >= first && at < first + ring_size()) seen_[s2m][static_cast<std::size_t>(at - first)] = *at;
  }
}

// The peer strikes between the last load and this one.
void World::change(void* address) {
  if (!input_.empty()) {
    if (const std::uint8_t what = input_.byte(); what >= 0x80) disturb();
    return;
  }
  for (const bool s2m : {true, false}) {
    if (address == &peer_index(s2m)) {
      const std::uint16_t own = client_ ? header(s2m).head : header(s2m).tail;
      const auto room =
          static_cast<std::uint16_t>(client_ ? own - peer_index(s2m) : own + ring_size() - peer_index(s2m));
      if (room <= ring_size())
        peer_index(s2m) = static_cast<std::uint16_t>(peer_index(s2m) + std::min<std::uint16_t>(room, pace_));
      return;
    }
    if (address == &header(s2m).flags) return;
  }
  auto& descriptor = *static_cast<wire::Descriptor*>(address);
  descriptor.word0 = (bait_word0_ & ~std::uint64_t{1}) | ((rhythm_ >> (loads_ / 2 % 8)) & 1u);
  descriptor.offset = bait_offset_;
}

void World::write_descriptor(wire::Descriptor& descriptor) {
  const auto any = [this](std::uint32_t usual) {
    const std::uint8_t kind = input_.byte();
    return kind < 0xf0 ? usual * (kind % 16) : input_.number<std::uint32_t>();
  };
  const std::uint8_t kind = input_.byte();
  const auto region = static_cast<std::uint16_t>(kind % 16 == 15 ? input_.number<std::uint16_t>() : (kind >> 4) % 3);
  descriptor.word0 = RawDescriptor::make_word0(RawDescriptor::make_tag(region, kind % 4 == 1), any(16));
  if (kind % 16 == 14) descriptor.word0 ^= input_.number<std::uint16_t>();
  descriptor.offset = any(64);
  if (kind % 16 == 13) descriptor.metadata = input_.byte();
}

void World::disturb() {
  const std::uint8_t what = input_.byte();
  const bool s2m = what % 2 != 0;
  switch (what / 2 % 8) {
    case 0:
    case 1:
    case 2:
      peer_index(s2m) = static_cast<std::uint16_t>(peer_index(s2m) + input_.upto(ring_size()));
      return;
    case 3:
      peer_index(s2m) = input_.number<std::uint16_t>();
      return;
    case 4:
      header(s2m).flags = input_.number<std::uint16_t>();
      return;
    case 5: {  // anywhere, also over this side's own index and the bytes between
      const auto at = input_.number<std::uint16_t>() % (memory_[0].size() / 8);
      const auto value = input_.number<std::uint64_t>();
      std::memcpy(memory_[0].data() + 8 * at, &value, sizeof value);
      return;
    }
    default:
      for (std::uint32_t n = 1 + what / 16 % 4, slot = input_.byte(); n != 0; --n, ++slot)
        write_descriptor(descriptors(s2m)[slot % ring_size()]);
  }
}

void World::check_span(const std::byte* data, std::uint64_t length, std::uint64_t capacity) const {
  require(length != 0, "a span has bytes");
  require(length <= capacity, "no span is longer than its buffer");
  bool inside = false;
  for (const detail::RegionView& view : views_)
    inside |= data >= view.base && capacity <= view.size &&
              static_cast<std::uint64_t>(data - view.base) <= view.size - capacity;
  require(inside, "a span lies inside a region");
}

void World::check_as_loaded(const std::byte* data, std::uint64_t length, bool receiving, std::uint32_t slot) const {
  require(slot < ring_size(), "the slot is one of the ring");
  const wire::Descriptor& seen = seen_[receiving ? 1 : 0][slot];
  const RawDescriptor descriptor{seen.word0, seen.offset};
  require(descriptor.region() < views_.size(), "the descriptor named a region");
  require(data == views_[descriptor.region()].base + descriptor.offset && length == descriptor.length(),
          "what was checked is what is used");
}

void World::check_buffer(const std::byte* data, std::uint64_t capacity) const {
  const std::uint64_t stride = stride_of(buffer_size_);
  const auto place = static_cast<std::uint64_t>(data - views_[1].base);
  require(data >= views_[1].base && place < views_[1].size, "a client's span is in the buffers' region");
  require(place % stride + capacity <= buffer_size_, "a client's span is in one buffer");
}

void World::check_tables() const {
  const std::shared_ptr<detail::Link> link = link_.lock();
  if (!client_ || link == nullptr) return;
  std::array<bool, 64> used{};
  for (const auto* rings : {&link->rx, &link->tx})
    for (std::uint32_t i = 0; i < ring_size(); ++i) {
      const std::uint32_t buffer = rings->front().offsets[i] / link->buffer_stride;
      require(buffer < 2 * ring_size() && !std::exchange(used[buffer], true), "a buffer is in one slot of one ring");
    }
}

}  // namespace memif::fuzz
