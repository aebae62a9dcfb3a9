// Counters and descriptions: what an operator can ask of an interface.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include <memif/error.hpp>

namespace memif {

// A counter with one writer and any number of readers: a plain relaxed store, no locked instruction.
class Counter {
 public:
  void add(std::uint64_t n) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Written by the queue's thread, readable from any thread. Monotonic over all connections of the interface.
struct RxCounters {
  Counter packets;
  Counter bytes;
  Counter bursts;              // receive calls that returned packets
  Counter dropped_descriptor;  // packets with a region, offset or length that cannot be
  Counter dropped_long;        // packets of more buffers than the caller's array had
  Counter interrupts;          // eventfd notifications read
  Counter sleeps;              // times that a wait slept
  Counter dropped_oversize;    // packets of more bytes than InterfaceConfig::max_packet
};

struct TxCounters {
  Counter packets;
  Counter bytes;
  Counter bursts;          // send calls that published packets
  Counter ring_full;       // allocate calls that found less room than was asked for
  Counter dropped_buffer;  // receive buffers posted by the peer that cannot be used, given back empty
  Counter rejected;        // packets refused by send: longer than their buffer, or not this link's
  Counter interrupts;      // eventfd notifications written
};

struct Credentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

struct PeerInfo {
  std::string app_name;
  std::string interface_name;
  std::uint16_t version = 0;  // the protocol version agreed on
  Credentials credentials;
};

struct RegionInfo {
  std::uint16_t index = 0;
  std::uint64_t size = 0;  // bytes
  void* address = nullptr;
  int fd = -1;  // stays memifpp's; -1 for those of a peer, which are not kept open
  bool external = false;
  bool sealed = false;  // the peer cannot shrink it
};

struct RingInfo {
  std::uint16_t queue = 0;
  std::uint32_t ring_size = 0;    // descriptors
  std::uint32_t buffer_size = 0;  // bytes; 0 where the peer chose the buffers
  std::uint16_t region = 0;
  std::uint64_t offset = 0;                     // of the ring in its region
  std::uint16_t head = 0, tail = 0, flags = 0;  // as they are in shared memory at this moment
  int event_fd = -1;                            // stays memifpp's
};

// Everything known of an interface at one moment. A copy: safe to keep. Descriptors and addresses in it are valid
// while the link is up.
struct InterfaceInfo {
  bool connected = false;
  std::optional<PeerInfo> peer;  // of the present link
  std::vector<RegionInfo> regions;
  std::vector<RingInfo> rx, tx;
  std::uint64_t connects = 0;
  std::uint64_t disconnects = 0;
  std::uint64_t refusals = 0;  // handshakes that ended before the link was up
  std::optional<Reason> last_reason;
};

// What a listener has seen that no interface can tell: connections that ended before they named one.
struct ListenerStats {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  // handshakes that ended before the link was up, for whatever interface
  std::uint64_t evicted = 0;  // of these, dropped to make room for newer ones
  std::optional<Reason> last_refusal;
  std::uint64_t failed_accepts = 0;
  std::optional<Reason> trouble;  // why connections are not accepted now; it is tried again all the while
};

}  // namespace memif
