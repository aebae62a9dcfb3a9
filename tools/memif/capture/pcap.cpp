#include "capture/pcap.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

namespace memif::tool::pcap {
namespace {

constexpr std::uint32_t magic_of_nanoseconds = 0xa1b23c4d;
constexpr std::uint16_t major_version = 2, minor_version = 4;
constexpr std::uint32_t longest = 262144;  // what tcpdump writes for "all of it"

template <class Number>
void append(Bytes& out, Number number) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&number);
  out.insert(out.end(), bytes, bytes + sizeof number);
}

}  // namespace

void append_file_header(Bytes& out, std::uint16_t link_type, std::uint32_t snap_length) {
  append(out, magic_of_nanoseconds);
  append(out, major_version);
  append(out, minor_version);
  append(out, std::uint64_t{0});  // time zone and accuracy, which nobody sets
  append(out, snap_length == 0 ? longest : std::min(snap_length, longest));
  append(out, std::uint32_t{link_type});
}

std::size_t write_packet(std::uint8_t* record, const pcapng::PacketRecord& packet) noexcept {
  constexpr std::int64_t second = 1'000'000'000;
  const auto ns = packet.time.time_since_epoch().count();
  const std::size_t most = std::numeric_limits<std::uint32_t>::max();
  const std::array head{static_cast<std::uint32_t>(ns / second), static_cast<std::uint32_t>(ns % second),
                        static_cast<std::uint32_t>(packet.size),
                        static_cast<std::uint32_t>(std::min(packet.original_size, most))};
  static_assert(sizeof head == packet_head);
  std::memcpy(record, head.data(), sizeof head);
  return packet_head + packet.size;
}

}  // namespace memif::tool::pcap
