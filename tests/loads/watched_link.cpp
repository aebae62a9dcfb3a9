#include "watched_link.hpp"

#include "data/link.hpp"
#include "support/load_hook.hpp"

namespace memif::test {

thread_local WatchedLink* WatchedLink::current = nullptr;

WatchedLink::WatchedLink(Role role)
    : client_(role == Role::client), port_(std::make_unique<detail::Queues>(InterfaceConfig{}, std::nullopt, [] {})) {
  reconnect();
  current = this;
  on_shared_load = &WatchedLink::on_load;
}

WatchedLink::~WatchedLink() {
  on_shared_load = nullptr;
  current = nullptr;
}

detail::LinkRing WatchedLink::make_ring(Direction direction) {
  RingMemory& memory = ring_of(direction);
  reset_ring(memory.header);
  detail::LinkRing ring;
  ring.spec = {.s2m = &memory == &memory_->s2m, .log2_size = log2_ring};
  ring.header = &memory.header;
  ring.dropped = std::make_unique<std::uint64_t[]>(1);
  ring.posted = std::make_unique<std::uint64_t[]>(ring_size);
  ring.offsets = std::make_unique<std::uint32_t[]>(ring_size);
  for (unsigned slot = 0; slot < ring_size; ++slot) {
    describe(direction, slot, buffer_size);
    ring.offsets[slot] = offset_of(direction, slot);
  }
  return ring;
}

// As a client its buffers are in the one region that there is, behind the rings.
void WatchedLink::reconnect() {
  auto link = std::make_shared<detail::Link>();
  link->client = client_;
  link->buffer_size = link->buffer_stride = buffer_size;
  link->first_buffer = offsetof(Memory, buffers);
  link->views.emplace_back(reinterpret_cast<std::byte*>(memory_.get()), sizeof(Memory));
  link->rx.push_back(make_ring(Direction::rx));
  link->tx.push_back(make_ring(Direction::tx));
  if (client_) post_all_buffers(*link);
  port_->set_link(std::move(link));
  rx().up();
  tx().up();
}

void WatchedLink::describe(Direction ring, unsigned slot, std::uint32_t length, bool more, std::uint16_t region) {
  wire::Descriptor& shared = descriptor(ring, slot);
  const std::uint64_t word0 = DescriptorWord::of(length, more, region).value;
  std::atomic_ref(shared.word0).store(word0, std::memory_order_relaxed);
  std::atomic_ref(shared.offset).store(offset_of(ring, slot), std::memory_order_relaxed);
}

std::uint32_t WatchedLink::offset_of(Direction ring, unsigned slot) {
  const unsigned number = slot % ring_size + (&ring_of(ring) == &memory_->s2m ? 0 : ring_size);
  return static_cast<std::uint32_t>(offsetof(Memory, buffers) + number * buffer_size);
}

void WatchedLink::advance(Direction ring, unsigned count) {
  wire::RingHeader& header = ring_of(ring).header;
  std::uint16_t& index = client_ ? header.tail : header.head;
  std::atomic_ref(index).fetch_add(static_cast<std::uint16_t>(count), std::memory_order_release);
}

bool WatchedLink::inside(const std::byte* data, std::uint64_t length) const {
  const auto* const base = reinterpret_cast<const std::byte*>(memory_.get());
  return data >= base && length <= sizeof(Memory) && static_cast<std::uint64_t>(data - base) <= sizeof(Memory) - length;
}

bool WatchedLink::count(const void* address, RingMemory& ring, Loads::OfRing& loads) {
  if (address == &ring.header.flags) return ++loads.flags != 0;
  if (address == (client_ ? &ring.header.tail : &ring.header.head)) return ++loads.index != 0;
  for (unsigned slot = 0; slot < ring_size; ++slot) {
    if (address != &ring.descriptors[slot]) continue;
    ++loads.descriptors[slot];
    if (meddle != nullptr) meddle(ring.descriptors[slot]);
    return true;
  }
  return false;
}

void WatchedLink::on_load(const void* address) {
  WatchedLink& self = *current;
  if (!self.count(address, self.ring_of(Direction::rx), self.loads_.rx) &&
      !self.count(address, self.ring_of(Direction::tx), self.loads_.tx))
    ++self.loads_.elsewhere;
}

}  // namespace memif::test
