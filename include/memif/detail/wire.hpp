// What lies in shared memory: rings and descriptors. docs/protocol.md, "Shared memory".
//
// The types here are the bytes as the peer may have left them: nothing in them is to be believed. ring.hpp reads them.
#pragma once

#include <cstddef>
#include <cstdint>

#include <memif/version.hpp>

namespace memif::wire {

inline constexpr std::uint16_t version = 0x0200;
inline constexpr std::uint32_t ring_cookie = 0x3E31F20;
inline constexpr std::uint16_t ring_flag_mask_interrupt = 1;  // receiver to sender: "do not interrupt me"
inline constexpr std::uint16_t ring_flag_awake = 1 << 15;     // memifpp's own: "... and no fence is needed to see that"
inline constexpr std::uint16_t descriptor_flag_next = 1;      // the packet goes on in the following descriptor
inline constexpr unsigned min_log2_ring_size = 1;
inline constexpr unsigned max_log2_ring_size = 14;
inline constexpr unsigned max_rings = 256;  // each way
inline constexpr unsigned max_regions = 256;
// No descriptor reaches further into a region: offset and length have 32 bits each.
inline constexpr std::uint64_t region_reach = std::uint64_t{1} << 33;

#if defined(__aarch64__)
inline constexpr std::size_t cache_line = 128;  // upstream's choice there; it moves the descriptors
#else
inline constexpr std::size_t cache_line = 64;
#endif

//    0        2        4                8                12               16
//    | flags  | region |     length     |     offset     |    metadata    |
//    |<-------------- word0 ----------->|
//
// Flags, region and length are one word: a descriptor is copied in two loads, and no field can be read twice.
struct alignas(16) Descriptor {
  std::uint64_t word0;
  std::uint32_t offset;
  std::uint32_t metadata;  // unused
};
static_assert(offsetof(Descriptor, offset) == 8);
static_assert(sizeof(Descriptor) == 16);

//    0            4        6       8         64       66         128
//    |   cookie   | flags  | head  |   ...   |  tail  |   ...    | descriptor[2^n] ...
//
// head is written by the client only, tail by the server only, flags by the ring's receiver.
struct RingHeader {
  std::uint32_t cookie;
  std::uint16_t flags;
  std::uint16_t head;
  std::uint8_t pad0[cache_line - 8];
  std::uint16_t tail;
  std::uint8_t pad1[cache_line - 2];
};
static_assert(offsetof(RingHeader, cookie) == 0);
static_assert(offsetof(RingHeader, flags) == 4);
static_assert(offsetof(RingHeader, head) == 6);
static_assert(offsetof(RingHeader, tail) == cache_line);
static_assert(sizeof(RingHeader) == 2 * cache_line);

// Bytes of a ring with 2^log2_size descriptors.
constexpr std::size_t ring_bytes(unsigned log2_size) { return sizeof(RingHeader) + (sizeof(Descriptor) << log2_size); }

}  // namespace memif::wire
