// Counters and descriptions of an interface, for operators.
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

// --- The counters of a queue: each is a member below and a line of the table behind it, and nowhere else ---

enum class CounterKind {
  traffic,
  no_room,  // packets that could not be sent yet
  drop,     // packets that were lost
  event,
};

// The texts of a counter, for every place that shows it.
template <class Counts, class Value>
struct CounterOf {
  const char* name;    // of the member; in JSON and metrics too
  const char* text;    // behind its value
  const char* column;  // above its rate, at most 7 characters; "": it has no column
  CounterKind kind;
  Value Counts::*value;
  const char* help;
};

// The counters of a receive queue. New members go to the end, also in the memory that observers read.
template <class Value>
struct RxCounts {
  Value packets{};
  Value bytes{};
  Value bursts{};              // receive calls that returned packets
  Value dropped_descriptor{};  // packets with an invalid region, offset or length
  Value dropped_long{};        // packets of more buffers than the caller's array had
  Value interrupts{};          // eventfd notifications read
  Value sleeps{};              // times that a wait slept
  Value dropped_oversize{};    // packets of more bytes than InterfaceConfig::max_packet

  static constexpr CounterOf<RxCounts, Value> table[] = {
      {"packets", "packets", "", CounterKind::traffic, &RxCounts::packets, "Packets received."},
      {"bytes", "bytes", "", CounterKind::traffic, &RxCounts::bytes, "Bytes received."},
      {"bursts", "bursts", "", CounterKind::traffic, &RxCounts::bursts, "Receive calls that returned packets."},
      {"dropped_descriptor", "dropped for a bad descriptor", "bad", CounterKind::drop, &RxCounts::dropped_descriptor,
       "Packets whose region, offset or length cannot be."},
      {"dropped_long", "dropped for too many buffers", "long", CounterKind::drop, &RxCounts::dropped_long,
       "Packets of more buffers than the caller had room for."},
      {"dropped_oversize", "dropped for too many bytes", "huge", CounterKind::drop, &RxCounts::dropped_oversize,
       "Packets of more bytes than the interface takes."},
      {"interrupts", "interrupts", "INT/s", CounterKind::event, &RxCounts::interrupts, "Notifications received."},
      {"sleeps", "sleeps", "SLEEP/s", CounterKind::event, &RxCounts::sleeps, "Times that a wait for packets slept."},
  };
};

// The counters of a transmit queue. New members go to the end here, too.
template <class Value>
struct TxCounts {
  Value packets{};
  Value bytes{};
  Value bursts{};          // send calls that published packets
  Value ring_full{};       // allocate calls that found fewer free slots than were asked for
  Value dropped_buffer{};  // receive buffers posted by the peer that cannot be used, given back empty
  Value rejected{};        // refused by send() or forward(): packets empty, too long, or not of this link
  Value interrupts{};      // eventfd notifications written

  static constexpr CounterOf<TxCounts, Value> table[] = {
      {"packets", "packets", "", CounterKind::traffic, &TxCounts::packets, "Packets sent."},
      {"bytes", "bytes", "", CounterKind::traffic, &TxCounts::bytes, "Bytes sent."},
      {"bursts", "bursts", "", CounterKind::traffic, &TxCounts::bursts, "Send calls that published packets."},
      {"ring_full", "times the ring was full", "full", CounterKind::no_room, &TxCounts::ring_full,
       "Allocations that found less room in the ring than was asked for."},
      {"dropped_buffer", "posted buffers that cannot be used", "buffer", CounterKind::drop, &TxCounts::dropped_buffer,
       "Buffers posted by the peer that cannot be used."},
      {"rejected", "rejected", "reject", CounterKind::drop, &TxCounts::rejected,
       "Packets longer than their buffer, of a former link, or without an end."},
      {"interrupts", "interrupts", "", CounterKind::event, &TxCounts::interrupts, "Notifications sent."},
  };
};

// Written by the queue's thread, readable from any thread. Monotonic over all connections of the interface.
using RxCounters = RxCounts<Counter>;
using TxCounters = TxCounts<Counter>;

// What a queue has lost: the sum of all counters of that kind.
template <template <class> class Counts>
std::uint64_t drops(const Counts<Counter>& counters) noexcept {
  std::uint64_t sum = 0;
  for (const auto& counter : Counts<Counter>::table)
    if (counter.kind == CounterKind::drop) sum += (counters.*counter.value).get();
  return sum;
}

// The values of the counters at one moment.
using RxTotals = RxCounts<std::uint64_t>;
using TxTotals = TxCounts<std::uint64_t>;

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
  int fd = -1;  // stays memifpp's; -1 for those of a peer, which are kept open only in programs that publish
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

// The counts of a listener. They include connections that ended before they named an interface, of which no interface
// can tell.
struct ListenerStats {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  // handshakes that ended before the link was up, for whatever interface
  std::uint64_t evicted = 0;  // of these, dropped to make room for newer ones
  std::optional<Reason> last_refusal;
  std::uint64_t failed_accepts = 0;
  std::optional<Reason> trouble;  // why connections are not accepted now; it is tried again all the while
};

}  // namespace memif
