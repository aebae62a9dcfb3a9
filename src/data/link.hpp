// A link: everything that one connection's bursts need, kept alive by whoever still uses it.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include <memif/config.hpp>
#include <memif/detail/queue.hpp>
#include <memif/fd.hpp>

#include "base/shared_fd.hpp"
#include "memory/pool_memory.hpp"
#include "memory/region.hpp"
#include "protocol/handshake.hpp"

namespace memif::detail {

// One ring of a link, with the private tables of the queue that works on it. A connection's queue starts at index 0.
struct LinkRing {
  handshake::RingSpec spec;
  wire::RingHeader* header = nullptr;
  SharedFd interrupt;
  std::unique_ptr<std::uint32_t[]> offsets;  // client
  std::unique_ptr<std::uint64_t[]> posted;   // server, transmit
  std::unique_ptr<std::uint64_t[]> dropped;  // receive
};

// Built by the control thread, then only read, except for the tables, each of which belongs to its queue's thread.
struct Link final : FaultObserver {
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link();

  std::shared_ptr<Pool> pool;  // client: whose buffers these are, if not its own
  bool client = false;
  bool guarded = false;  // some of its pages can vanish
  std::vector<Region> regions;
  std::vector<RegionView> views;              // of `regions`, same order
  std::vector<LinkRing> rx, tx;               // by queue index
  std::uint16_t buffer_region = 0;            // client
  std::uint32_t buffer_size = 0;              // client
  std::uint32_t buffer_stride = 0;            // client
  std::uint64_t first_buffer = 0;             // client: offset in its region
  bool placed = false;                        // client: the application says where each buffer is, they lie on no grid
  std::uint32_t posted_headroom = 0;          // client: that of the buffers posted when the link came up
  bool posted = false;                        // client: all receive buffers were posted when the link came up
  std::atomic<bool> failed{false};            // a queue found the peer broken: not to be adopted again
  std::atomic<bool> vanished{false};          // the peer took memory away that was in use
  std::atomic<FaultObserver*> user{nullptr};  // the interface's queues

  // Client: names the memory that the buffers lie in. Those of two rings can change places if it is one.
  const void* buffers_of() const noexcept { return pool != nullptr ? static_cast<const void*>(pool.get()) : this; }

  const LinkRing* ring(bool s2m, std::uint16_t index) const noexcept;

  // When all regions are there: what queues go by, and who is told when pages vanish.
  void view_regions();

  // Each thread calls it before it touches the memory.
  void prepare_thread() const noexcept {
    if (guarded) let_faults_in();
  }

  // In a signal handler, on any thread that touches the memory: sigbus.hpp.
  void memory_vanished() noexcept override;
};

// What a client offers: regions and rings made, descriptors and tables filled in, nothing posted.
// `server`: the user whose process they are offered to.
Result<std::shared_ptr<Link>> make_client_link(const InterfaceConfig& config, uid_t server, std::uint16_t s2m_rings,
                                               std::uint16_t m2s_rings, std::uint8_t log2_ring_size,
                                               bool& fell_back_to_small_pages);

// The rings as the handshake describes them, S2M first.
std::vector<handshake::RingSpec> ring_specs(const Link& link);

// Client, when CONNECTED has come: the receive buffers become the server's. docs/protocol.md, "Handshake".
void post_all_buffers(Link& link);

// Server, when CONNECT has come: checks the cookies, resets the indices, makes the tables. An Error names the ring.
Status complete_server_link(Link& link);

}  // namespace memif::detail
