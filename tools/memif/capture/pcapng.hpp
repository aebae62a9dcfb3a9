// Writing captures: the blocks of pcapng, with nanosecond timestamps.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "net/codec.hpp"

namespace memif::tool {

// Nanoseconds since 1970.
using CaptureTime = std::chrono::sys_time<std::chrono::nanoseconds>;

inline CaptureTime capture_now() {
  return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

// Which way a packet passed its interface.
enum class Direction : std::uint8_t { unknown = 0, inbound = 1, outbound = 2 };

namespace pcapng {

// The blocks that a capture is made of, in the byte order of this machine, as the format wants it. Each appends itself.

void append_section_header(Bytes& out, const std::string& application);

// Interfaces are numbered from 0 in the order of their blocks.
struct Description {
  std::uint16_t link_type = 1;    // LINKTYPE_ETHERNET 1, LINKTYPE_RAW 101
  std::uint32_t snap_length = 0;  // 0: no limit
  std::string name;               // of the interface
  std::string filter;             // the expression that chose the packets
};
void append_interface(Bytes& out, const Description& interface);

struct Statistics {
  CaptureTime start, end;
  std::uint64_t received = 0;  // by the interface
  std::uint64_t dropped = 0;   // by the interface
  std::uint64_t accepted = 0;  // by the filter
};
void append_statistics(Bytes& out, std::uint32_t interface, CaptureTime time, const Statistics& statistics);

// A packet's block is built around bytes that are in their place already, so that they are copied once: packet_head
// bytes are free before them and packet_tail behind them.
inline constexpr std::size_t packet_head = 28, packet_tail = 20;

struct PacketRecord {
  std::uint32_t interface = 0;
  CaptureTime time{};
  std::size_t size = 0, original_size = 0;  // bytes here, and of the whole packet
  Direction direction = Direction::unknown;
};
// `block` is where the head begins. Returns the length of the block.
std::size_t write_packet(std::uint8_t* block, const PacketRecord& packet) noexcept;

// LINKTYPE_ value of files for a mode, where it differs from the DLT_ value in memory.
std::uint16_t file_link_type(int dlt) noexcept;

}  // namespace pcapng
}  // namespace memif::tool
