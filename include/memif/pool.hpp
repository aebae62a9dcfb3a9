// Buffers that several client interfaces of a process share, so that packets go from one to another without a copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <memif/config.hpp>
#include <memif/error.hpp>

namespace memif {

struct PoolConfig {
  std::size_t buffers = 0;           // Pool::buffers_for() of each interface together, and what is to be spare
  std::uint32_t buffer_size = 2048;  // bytes, 1..1 MiB; instead of the interfaces' own
  std::size_t max_kept = 0;          // of these, those that KeptPackets may have at a time
  bool huge_pages = false;           // 2 MiB pages; falls back to ordinary ones
  bool prefault = false;             // all memory is there from the start
};

// One memory file of buffers. A client interface whose InterfaceConfig::pool it is takes its buffers from there with
// each link, and gives them back when the last of its queues has let go of the link. TxQueue::forward() between two
// interfaces of one pool exchanges buffers and touches no byte of a packet.
//
// Every peer of every interface of the pool maps all of it: it can read and write each packet that lies there, also
// those of other peers. What it cannot do is to make this process use another buffer than those that are posted to it:
// each interface goes by tables of its own. docs/security.md, "Pools"
//
// For any thread. It lives until the last interface, link or queue that uses it has gone.
class Pool {
 public:
  // Errors: Errc::invalid_config; an errno (ENOSPC or ENOMEM where memory is short).
  static Result<std::shared_ptr<Pool>> create(const PoolConfig& config);

  // Buffers that each link of such an interface takes: one for each descriptor of each ring. While a link takes
  // another's place it needs as many again, until each queue of the interface has been called once.
  static std::size_t buffers_for(const InterfaceConfig& config) noexcept;

  std::uint32_t buffer_size() const noexcept;  // bytes
  std::size_t buffers() const noexcept;        // in all
  std::size_t free() const noexcept;           // of these, those that no link and no KeptPacket has
  bool huge_pages() const noexcept;            // whether it has them

  // For the library.
  class Memory;
  explicit Pool(std::unique_ptr<Memory> memory) noexcept;
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  Memory& memory() noexcept { return *memory_; }

 private:
  std::unique_ptr<Memory> memory_;
};

}  // namespace memif
