#include "data/link.hpp"

#include <string>

#include "memory/interrupt.hpp"
#include "memory/layout.hpp"

namespace memif::detail {
namespace {

LinkRing make_client_ring(Link& link, bool s2m, std::uint16_t index, std::uint8_t log2_size, std::size_t offset) {
  LinkRing ring;
  ring.spec = {
      .s2m = s2m, .index = index, .region = 0, .offset = static_cast<std::uint32_t>(offset), .log2_size = log2_size};
  ring.header = reinterpret_cast<wire::RingHeader*>(link.views[0].base + offset);
  make_ring(*ring.header);
  return ring;
}

Status take_from_pool(Pool& pool, std::span<std::uint32_t> offsets) {
  if (pool.memory().take(offsets)) return Nothing{};
  return Error{Errc::pool_exhausted, "the pool has " + std::to_string(pool.free()) + " free buffers of " +
                                         std::to_string(pool.buffers()) + ", a ring needs " +
                                         std::to_string(offsets.size())};
}

// The private table of a client ring, and the descriptors that say the same to the server.
Status give_buffers(const Link& link, LinkRing& ring, std::size_t first, std::uint32_t headroom) {
  const std::size_t size = std::size_t{1} << ring.spec.log2_size;
  auto offsets = std::make_unique<std::uint32_t[]>(size);
  if (link.pool == nullptr) {
    for (std::size_t i = 0; i < size; ++i)
      offsets[i] = static_cast<std::uint32_t>(link.first_buffer + (first + i) * link.buffer_stride);
  } else if (Status taken = take_from_pool(*link.pool, {offsets.get(), size}); !taken) {
    return taken;
  }
  ring.offsets = std::move(offsets);
  Ring view(ring.header, ring.spec.log2_size, true);
  const auto word = DescriptorWord::of(link.buffer_size - headroom, false, link.buffer_region);
  for (std::size_t i = 0; i < size; ++i) {
    ring.offsets[i] += headroom;
    view.update(static_cast<std::uint16_t>(i), word, ring.offsets[i]);
  }
  return Nothing{};
}

std::unique_ptr<std::uint64_t[]> make_drop_marks(unsigned log2_size) {
  return std::make_unique<std::uint64_t[]>(((std::size_t{1} << log2_size) + 63) / 64);
}

Result<Region> buffer_memory(const InterfaceConfig& config, std::uint64_t bytes) {
  if (config.pool) return config.pool->memory().lend();
  if (config.memory_hooks && config.memory_hooks->provide) return Region::provided(config.memory_hooks, bytes);
  if (config.memory->size < bytes)
    return Error{Errc::invalid_config, "memory.size " + std::to_string(config.memory->size) + ": the rings need " +
                                           std::to_string(bytes) + " bytes for their buffers"};
  return Region::map_external(config.memory->fd, config.memory->size);
}

// The rings, and behind them the buffers, or in a second region that is a pool's or the application's.
Status make_regions(const InterfaceConfig& config, Link& link, std::uint64_t rings_bytes, std::uint64_t buffers_bytes,
                    bool& fell_back_to_small_pages) {
  const bool own = own_memory(config);
  link.buffer_region = own ? 0 : 1;
  link.first_buffer = own ? rings_bytes : config.memory ? config.memory->offset : 0;
  const std::uint64_t end = link.first_buffer + buffers_bytes;

  // Huge pages are for the buffers: one for a few rings would be a waste.
  auto first =
      Region::create("memif", own ? end : rings_bytes,
                     {.huge_pages = own && config.huge_pages, .prefault = config.prefault}, fell_back_to_small_pages);
  if (!first) return first.error();
  link.regions.push_back(std::move(*first));
  if (!own) {
    auto second = buffer_memory(config, end);
    if (!second) return second.error();
    link.regions.push_back(std::move(*second));
  }
  link.view_regions();
  return Nothing{};
}

}  // namespace

// Its buffers are in its tables, whichever these are by now.
Link::~Link() {
  if (pool == nullptr) return;
  for (const auto* rings : {&tx, &rx})
    for (const LinkRing& ring : *rings)
      pool->memory().give_back({ring.offsets.get(), std::size_t{1} << ring.spec.log2_size});
}

const LinkRing* Link::ring(bool s2m, std::uint16_t index) const noexcept {
  const auto& rings = s2m == client ? tx : rx;
  return index < rings.size() ? &rings[index] : nullptr;
}

void Link::view_regions() {
  for (Region& region : regions) {
    views.emplace_back(region.data(), region.size());
    region.observe(*this);
    guarded = guarded || region.guarded();
  }
}

// The order pairs with Queues::set_link(), which names the queues and then asks.
void Link::memory_vanished() noexcept {
  failed.store(true, std::memory_order_seq_cst);
  vanished.store(true, std::memory_order_seq_cst);
  if (FaultObserver* const queues = user.load(std::memory_order_seq_cst)) queues->memory_vanished();
}

Result<std::shared_ptr<Link>> make_client_link(const InterfaceConfig& config, uid_t server, std::uint16_t s2m_rings,
                                               std::uint16_t m2s_rings, std::uint8_t log2_ring_size,
                                               bool& fell_back_to_small_pages) {
  if (deferred::overloaded(server)) return deferred::no_room();
  auto link = std::make_shared<Link>();
  link->client = true;
  link->pool = config.pool;
  link->buffer_size = config.buffer_size;
  link->buffer_stride = config.pool ? config.pool->memory().stride() : buffer_stride(config);
  link->placed = config.memory_hooks && config.memory_hooks->placed;
  link->posted_headroom = config.headroom;

  const std::size_t rings = std::size_t{s2m_rings} + m2s_rings;
  const std::size_t ring_size = std::size_t{1} << log2_ring_size;
  if (Status made = make_regions(config, *link, rings_bytes(rings, log2_ring_size),
                                 rings * ring_size * link->buffer_stride, fell_back_to_small_pages);
      !made)
    return made.error();

  for (std::size_t i = 0; i < rings; ++i) {
    const bool s2m = i < s2m_rings;
    const auto index = static_cast<std::uint16_t>(s2m ? i : i - s2m_rings);
    LinkRing ring = make_client_ring(*link, s2m, index, log2_ring_size, i * ring_stride(log2_ring_size));
    auto interrupt = make_interrupt();
    if (!interrupt) return interrupt.error();
    ring.interrupt = SharedFd(std::move(*interrupt), server, deferred::Kind::eventfd);
    if (!ring.interrupt.has_place()) return deferred::no_room();
    if (Status given = give_buffers(*link, ring, i * ring_size, s2m ? 0 : config.headroom); !given)
      return given.error();
    if (!s2m) ring.dropped = make_drop_marks(log2_ring_size);
    (s2m ? link->tx : link->rx).push_back(std::move(ring));
  }
  return link;
}

std::vector<handshake::RingSpec> ring_specs(const Link& link) {
  std::vector<handshake::RingSpec> specs;
  for (const LinkRing& ring : link.client ? link.tx : link.rx) specs.push_back(ring.spec);
  for (const LinkRing& ring : link.client ? link.rx : link.tx) specs.push_back(ring.spec);
  return specs;
}

void post_all_buffers(Link& link) {
  for (LinkRing& ring : link.rx)
    Ring(ring.header, ring.spec.log2_size, true).publish(static_cast<std::uint16_t>(1u << ring.spec.log2_size));
  link.posted = true;
}

Status complete_server_link(Link& link) {
  link.view_regions();
  link.prepare_thread();
  for (const bool receive : {true, false}) {
    for (LinkRing& ring : receive ? link.rx : link.tx) {
      ring.header = reinterpret_cast<wire::RingHeader*>(link.views[ring.spec.region].base + ring.spec.offset);
      const bool good = has_cookie(*ring.header);
      if (link.vanished.load(std::memory_order_seq_cst))
        return Error{Errc::truncated_memory, "the peer shrank memory that it offers"};
      if (!good)
        return Error{Errc::wrong_cookie, std::string(receive ? "S2M" : "M2S") + " ring " +
                                             std::to_string(ring.spec.index) + ": wrong cookie"};
      reset_ring(*ring.header);
      if (receive)
        ring.dropped = make_drop_marks(ring.spec.log2_size);
      else
        ring.posted = std::make_unique<std::uint64_t[]>(std::size_t{1} << ring.spec.log2_size);
    }
  }
  return Nothing{};
}

}  // namespace memif::detail
