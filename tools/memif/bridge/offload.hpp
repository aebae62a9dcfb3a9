// Long TCP packets at a TAP, as the kernel has them inside: one header, up to 64 KiB of data, and a note of how to cut
// it. One system call then moves dozens of segments. What other ports see are frames as on a cable.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/uio.h>
#include <vector>

#include "bridge/port.hpp"

namespace memif::tool {

// What the kernel says of a packet: struct virtio_net_hdr, whose header file is none of C++.
struct Offload {
  static constexpr std::uint8_t needs_checksum = 1;                // in `flags`
  static constexpr std::uint8_t none = 0, tcp_v4 = 1, tcp_v6 = 4;  // in `segments`

  std::uint8_t flags = 0, segments = none;
  std::uint16_t header_size = 0, segment_size = 0;
  std::uint16_t checksum_start = 0, checksum_offset = 0;  // the field's place, counted from the start of what it covers
};
static_assert(sizeof(Offload) == 10);

// More than the segments of any packet need: 64 KiB cut into parts of 48 bytes, the least that Linux makes.
inline constexpr std::size_t segments_room = std::size_t{256} << 10;

// Appends the frames that a packet read from a TAP stands for: completes its checksum in place, or cuts it into
// segments, which are written to `room`. Returns how much of `room` they take. Appends nothing if `how` does not fit
// the packet.
std::size_t cut(const Offload& how, std::span<std::uint8_t> packet, std::span<std::uint8_t> room,
                std::vector<Frame>& frames);

// Puts together what cut() takes apart: segments of one connection that follow each other.
class Joiner {
 public:
  // True if `frame` is now a part of the packet. If not, the packet there is must be sent, and clear() called, first; a
  // frame that is no part of an empty packet either goes as it is. The frame is read when the packet is sent.
  bool add(const Frame& frame);

  std::span<const Frame> frames() const noexcept { return frames_; }
  void clear() noexcept { frames_.clear(); }

  // What to write to the TAP; valid until the next call.
  std::span<const iovec> packet();

 private:
  static constexpr std::size_t most_frames = 64;
  static constexpr std::size_t longest_header = 14 + 40 + 60;

  // A segment's header, checked, in memory of our own.
  struct Header {
    std::array<std::uint8_t, longest_header> bytes;
    std::size_t tcp = 0;   // where that header begins
    std::size_t size = 0;  // of all headers
    std::size_t payload = 0;

    bool read(const Frame& frame);
    bool v6() const noexcept { return tcp == 14 + 40; }
    std::uint32_t sequence() const noexcept;
    std::uint8_t flags() const noexcept { return bytes[tcp + 13]; }
  };

  bool follows(const Header& next) const;

  Header first_;
  std::size_t total_ = 0;  // bytes of payload
  bool open_ = false;      // more may follow
  bool push_ = false;      // the last segment's flag
  std::vector<Frame> frames_;
  Offload how_;
  std::vector<iovec> parts_;
};

}  // namespace memif::tool
