// Writing packet headers, and checksums.
#include <bit>
#include <cstring>

#include "net/codec.hpp"

namespace memif::tool {
namespace {

void append(Bytes& out, View bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

void append16(Bytes& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

std::span<std::uint8_t> from(Bytes& out, std::size_t at) { return std::span(out).subspan(at); }

}  // namespace

void put16(std::span<std::uint8_t> bytes, std::size_t at, std::uint16_t value) noexcept {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

// In the machine's byte order, eight bytes at a time: the result is the same but for its own byte order (RFC 1071, 2
// B).
std::uint32_t sum_words(View bytes, std::uint32_t sum) noexcept {
  std::uint64_t native = 0, word = 0;
  for (; bytes.size() >= sizeof word; bytes = bytes.subspan(sizeof word)) {
    std::memcpy(&word, bytes.data(), sizeof word);
    native += (word & 0xffff'ffffu) + (word >> 32);
  }
  word = 0;
  if (!bytes.empty()) std::memcpy(&word, bytes.data(), bytes.size());
  native += (word & 0xffff'ffffu) + (word >> 32);
  while (native > 0xffffu) native = (native >> 16) + (native & 0xffffu);
  if constexpr (std::endian::native == std::endian::little)
    native = __builtin_bswap16(static_cast<std::uint16_t>(native));
  std::uint64_t wide = native + sum;
  while (wide > 0xffff'ffffu) wide = (wide >> 32) + (wide & 0xffff'ffffu);
  return static_cast<std::uint32_t>(wide);
}

std::uint16_t checksum(View bytes, std::uint32_t sum) noexcept {
  sum = sum_words(bytes, sum);
  while (sum > 0xffffu) sum = (sum >> 16) + (sum & 0xffffu);
  return static_cast<std::uint16_t>(~sum);
}

// RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
std::uint16_t adjust_checksum(std::uint16_t checksum, std::uint16_t before, std::uint16_t after) noexcept {
  std::uint32_t sum = static_cast<std::uint16_t>(~checksum);
  sum += static_cast<std::uint16_t>(~before);
  sum += after;
  while (sum > 0xffffu) sum = (sum >> 16) + (sum & 0xffffu);
  return static_cast<std::uint16_t>(~sum);
}

std::uint32_t sum_pseudo_header(const IpAddress& source, const IpAddress& destination, std::uint8_t next_header,
                                std::size_t length) noexcept {
  return sum_words(destination.bytes(), sum_words(source.bytes())) + next_header +
         static_cast<std::uint32_t>(length >> 16) + static_cast<std::uint32_t>(length & 0xffff);
}

void append_ethernet(Bytes& out, const Mac& destination, const Mac& source, std::uint16_t type) {
  append(out, destination);
  append(out, source);
  append16(out, type);
}

void insert_vlans(Bytes& frame, std::span<const std::uint16_t> ids) {
  Bytes tags;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    append16(tags, i + 1 == ids.size() ? ethertype::vlan : ethertype::qinq);
    append16(tags, ids[i]);
  }
  frame.insert(frame.begin() + 12, tags.begin(), tags.end());
}

void append_arp(Bytes& out, const Arp& arp) {
  append16(out, 1);  // Ethernet
  append16(out, ethertype::ipv4);
  out.push_back(6);
  out.push_back(4);
  append16(out, arp.operation);
  append(out, arp.sender_mac);
  append(out, arp.sender.bytes());
  append(out, arp.target_mac);
  append(out, arp.target.bytes());
}

void append_ip(Bytes& out, const IpAddress& source, const IpAddress& destination, std::uint8_t upper,
               std::uint8_t hop_limit, std::size_t payload_size) {
  const std::size_t start = out.size();
  if (source.v6()) {
    append(out, std::array<std::uint8_t, 4>{0x60, 0, 0, 0});
    append16(out, payload_size);
    out.push_back(upper);
    out.push_back(hop_limit);
  } else {
    append(out, std::array<std::uint8_t, 2>{0x45, 0});
    append16(out, 20 + payload_size);
    append(out, std::array<std::uint8_t, 4>{0, 0, 0x40, 0});  // no identification, since it must not be fragmented
    out.push_back(hop_limit);
    out.push_back(upper);
    append16(out, 0);
  }
  append(out, source.bytes());
  append(out, destination.bytes());
  if (!source.v6()) put16(out, start + 10, checksum(from(out, start)));
}

void append_echo(Bytes& out, const IpAddress& source, const IpAddress& destination, const Echo& echo, View data) {
  const std::size_t size = 8 + data.size();
  const std::uint8_t upper = source.v6() ? protocol::icmpv6 : protocol::icmp;
  append_ip(out, source, destination, upper, 64, size);
  const std::size_t start = out.size();
  if (source.v6())
    out.push_back(echo.request ? icmp::v6_echo_request : icmp::v6_echo_reply);
  else
    out.push_back(echo.request ? icmp::echo_request : icmp::echo_reply);
  out.push_back(0);
  append16(out, 0);
  append16(out, echo.id);
  append16(out, echo.sequence);
  append(out, data);
  const std::uint32_t sum = source.v6() ? sum_pseudo_header(source, destination, upper, size) : 0;
  put16(out, start + 2, checksum(from(out, start), sum));
}

void append_neighbor(Bytes& out, const IpAddress& source, const IpAddress& destination, const Neighbor& neighbor) {
  constexpr std::uint8_t solicited = 0x40, override_cache = 0x20;
  const std::size_t size = neighbor.link_address ? 32 : 24;
  append_ip(out, source, destination, protocol::icmpv6, 255, size);
  const std::size_t start = out.size();
  out.push_back(neighbor.solicitation ? icmp::solicitation : icmp::advertisement);
  append(out, std::array<std::uint8_t, 3>{});
  const auto flags = static_cast<std::uint8_t>(override_cache | (destination.multicast() ? 0 : solicited));
  append(out, std::array<std::uint8_t, 4>{neighbor.solicitation ? std::uint8_t{0} : flags, 0, 0, 0});
  append(out, neighbor.target.bytes());
  if (neighbor.link_address) {
    out.push_back(neighbor.solicitation ? 1 : 2);
    out.push_back(1);  // eight bytes
    append(out, *neighbor.link_address);
  }
  put16(out, start + 2, checksum(from(out, start), sum_pseudo_header(source, destination, protocol::icmpv6, size)));
}

}  // namespace memif::tool
