// What a program that publishes lets observers see of one interface: the layout of that memory. docs/observing.md.
//
// A memory file of its own for each interface, named `file_name`, found and opened by observers in /proc/PID/fd: so the
// kernel decides who may look, and nothing is left behind when a program dies. The program holds a lock on it, by which
// the kernel tells it from a file that somebody passed to the program.
#pragma once

#include <cstddef>
#include <cstdint>

#include <memif/stats.hpp>

namespace memif::published {

inline constexpr char file_name[] = "memif-published";  // of the memory file: "/memfd:memif-published (deleted)"
inline constexpr std::uint64_t magic = 0x3062'7570'6669'6d01;
inline constexpr std::uint32_t version = 1;  // of the layout: observers refuse others
inline constexpr std::size_t most_regions = 16;

//    0          384     1088                         then, on 128
//    | Identity | State | RingState[rx + tx] | ... | RxSlot[rx] | TxSlot[tx] |
//
// Identity never changes. State and the RingStates are the control thread's, who makes State::sequence odd while it
// changes them. The slots hold the counters in which the queues themselves count, each written by its queue's thread.
// Everything is read in words of 8 bytes.

struct Text32 {
  char bytes[32];  // ends at the first 0, or at the end
};

struct alignas(64) Identity {
  std::uint64_t magic;
  std::uint32_t version;
  std::int32_t pid;          // as the program itself sees it
  std::uint64_t started_ns;  // when the interface was added: CLOCK_REALTIME
  std::uint32_t id;
  std::uint8_t role, mode;
  std::uint16_t rx_queues, tx_queues;
  std::uint16_t pad0;
  std::uint32_t pad1;
  Text32 app_name;
  Text32 name;
  char socket[256];
  std::uint8_t pad2[24];
};
static_assert(offsetof(Identity, version) == 8);
static_assert(offsetof(Identity, started_ns) == 16);
static_assert(offsetof(Identity, id) == 24);
static_assert(offsetof(Identity, rx_queues) == 30);
static_assert(offsetof(Identity, app_name) == 40);
static_assert(offsetof(Identity, socket) == 104);
static_assert(sizeof(Identity) == 384);

struct RegionState {
  std::uint64_t size;  // bytes
  std::uint8_t external, sealed;
  std::uint8_t pad[2];
  std::int32_t file;  // the program's descriptor of its file, plus 1; 0: none, or of a program that does not tell
};
static_assert(offsetof(RegionState, file) == 12);
static_assert(sizeof(RegionState) == 16);

enum class ReasonKind : std::uint32_t { none, memif, system };  // whose number `reason_code` is

struct alignas(64) State {
  std::uint64_t sequence;  // odd: being changed
  std::uint32_t removed;   // the interface is gone, though somebody still has its queues
  std::uint32_t connected;
  std::uint64_t changed_ns;  // when it went up or down: CLOCK_REALTIME
  std::uint64_t connects, disconnects, refusals;
  Text32 peer_app_name, peer_interface_name;
  std::uint32_t peer_version;
  std::int32_t peer_pid;
  std::uint32_t peer_uid, peer_gid;
  ReasonKind reason_kind;
  std::int32_t reason_code;
  std::uint32_t reason_from_peer;
  std::uint32_t regions;  // how many there are; the first `most_regions` are described
  char reason[256];
  RegionState region[most_regions];
  std::uint8_t pad[48];
};
static_assert(offsetof(State, connected) == 12);
static_assert(offsetof(State, peer_app_name) == 48);
static_assert(offsetof(State, peer_version) == 112);
static_assert(offsetof(State, reason) == 144);
static_assert(offsetof(State, region) == 400);
static_assert(sizeof(State) == 704);

// A queue's ring of the present link. Its indices are not copied here: an observer reads them in the ring itself.
struct RingState {
  std::uint32_t ring_size;  // descriptors; 0: the queue has no ring
  std::uint32_t buffer_size;
  std::uint64_t offset;  // in its region
  std::uint16_t region;
  std::uint16_t pad;
  std::int32_t region_fd;  // of the program's
  std::uint64_t pad1;
};
static_assert(sizeof(RingState) == 32);

// On cache lines of their own, two each: processors fetch them in pairs.
struct alignas(128) RxSlot {
  RxCounters counters;
};
struct alignas(128) TxSlot {
  TxCounters counters;
};
static_assert(sizeof(RxSlot) == 128 && sizeof(TxSlot) == 128, "there is room for 16 counters");
static_assert(sizeof(RxTotals) == sizeof(RxCounters) && sizeof(TxTotals) == sizeof(TxCounters));
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "counters are read by other processes");

// Where they lie in version 1; more are appended, and read as 0 where a program does not have them.
static_assert(offsetof(RxTotals, packets) == 0 && offsetof(RxTotals, bytes) == 8 && offsetof(RxTotals, bursts) == 16);
static_assert(offsetof(RxTotals, dropped_descriptor) == 24 && offsetof(RxTotals, dropped_long) == 32);
static_assert(offsetof(RxTotals, interrupts) == 40 && offsetof(RxTotals, sleeps) == 48);
static_assert(offsetof(RxTotals, dropped_oversize) == 56);
static_assert(offsetof(TxTotals, packets) == 0 && offsetof(TxTotals, bytes) == 8 && offsetof(TxTotals, bursts) == 16);
static_assert(offsetof(TxTotals, ring_full) == 24 && offsetof(TxTotals, dropped_buffer) == 32);
static_assert(offsetof(TxTotals, rejected) == 40 && offsetof(TxTotals, interrupts) == 48);

// Where things are, for an interface of so many queues.
struct Layout {
  std::size_t rings, rx, tx, size;  // bytes from the start

  constexpr Layout(std::size_t rx_queues, std::size_t tx_queues) noexcept
      : rings(sizeof(Identity) + sizeof(State)),
        rx((rings + (rx_queues + tx_queues) * sizeof(RingState) + 127) / 128 * 128),
        tx(rx + rx_queues * sizeof(RxSlot)),
        size(tx + tx_queues * sizeof(TxSlot)) {}
};

}  // namespace memif::published
