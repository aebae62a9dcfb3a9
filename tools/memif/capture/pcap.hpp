// Writing captures: the older format, pcap, with nanosecond timestamps. It has one link type, and neither interfaces
// nor directions nor statistics.
#pragma once

#include <cstddef>
#include <cstdint>

#include "capture/pcapng.hpp"
#include "net/codec.hpp"

namespace memif::tool::pcap {

inline constexpr std::size_t file_head = 24, packet_head = 16;

void append_file_header(Bytes& out, std::uint16_t link_type, std::uint32_t snap_length);

// As pcapng::write_packet(), around bytes that are in their place: packet_head bytes are free before them.
std::size_t write_packet(std::uint8_t* record, const pcapng::PacketRecord& packet) noexcept;

}  // namespace memif::tool::pcap
