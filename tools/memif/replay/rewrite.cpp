#include "replay/rewrite.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "common/command.hpp"

namespace memif::tool {
namespace {

using WritableView = std::span<std::uint8_t>;

constexpr std::size_t none = ~std::size_t{0};

// The byte of a prefix's mask at `i`.
std::uint8_t mask(unsigned length, std::size_t i) noexcept {
  const std::size_t bits = length > i * 8 ? std::min<std::size_t>(length - i * 8, 8) : 0;
  return static_cast<std::uint8_t>(0xff00u >> bits);
}

bool matches(const Prefix& network, WritableView address) noexcept {
  const auto wanted = network.address.bytes();
  if (wanted.size() != address.size()) return false;
  for (std::size_t i = 0; i < address.size(); ++i)
    if (((wanted[i] ^ address[i]) & mask(network.length, i)) != 0) return false;
  return true;
}

// Changes one address; `sums` are the places in `packet` of the checksums that cover it.
void rewrite_address(const std::vector<AddressMap>& maps, WritableView packet, std::size_t at, std::size_t size,
                     std::span<const std::size_t> sums) noexcept {
  const WritableView address = packet.subspan(at, size);
  const auto map =
      std::find_if(maps.begin(), maps.end(), [&](const AddressMap& m) { return matches(m.from, address); });
  if (map == maps.end()) return;
  const auto to = map->to.bytes();
  for (std::size_t i = 0; i < size; i += 2) {
    const std::uint16_t before = get16(address, i);
    for (std::size_t k = i; k < i + 2; ++k) {
      const std::uint8_t bits = mask(map->from.length, k);
      address[k] = static_cast<std::uint8_t>((to[k] & bits) | (address[k] & ~bits));
    }
    for (const std::size_t sum : sums)
      if (sum != none) put16(packet, sum, adjust_checksum(get16(packet, sum), before, get16(address, i)));
  }
}

// Where the checksum of the transport header at `at` is, if it covers addresses and the packet has it.
std::size_t transport_checksum(WritableView packet, std::size_t at, std::uint8_t upper, bool v6) noexcept {
  std::size_t sum = none;
  if (upper == protocol::tcp)
    sum = at + 16;
  else if (upper == protocol::udp)
    sum = at + 6;
  else if (upper == protocol::icmpv6 && v6)
    sum = at + 2;
  if (sum == none || sum + 2 > packet.size()) return none;
  // A UDP datagram of IPv4 may have none.
  return upper == protocol::udp && get16(packet, sum) == 0 ? none : sum;
}

void rewrite_both(const Rewrite& rewrite, WritableView packet, std::size_t at, std::size_t size, std::uint8_t upper,
                  std::span<const std::size_t, 2> sums) noexcept {
  rewrite_address(rewrite.addresses, packet, at, size, sums);
  rewrite_address(rewrite.addresses, packet, at + size, size, sums);
  // In UDP, 0 would mean that there is no checksum (RFC 768).
  if (upper == protocol::udp && sums[1] != none && get16(packet, sums[1]) == 0) put16(packet, sums[1], 0xffff);
}

void rewrite_ipv4(const Rewrite& rewrite, WritableView packet) noexcept {
  if (packet.size() < 20) return;
  const std::size_t header = (packet[0] & std::size_t{0x0f}) * 4;
  if (header < 20) return;
  const bool later_fragment = (get16(packet, 6) & 0x1fffu) != 0;
  const std::uint8_t upper = packet[9];
  const std::array sums{std::size_t{10}, later_fragment ? none : transport_checksum(packet, header, upper, false)};
  rewrite_both(rewrite, packet, 12, 4, upper, sums);
}

void rewrite_ipv6(const Rewrite& rewrite, WritableView packet) noexcept {
  constexpr std::uint8_t hop_by_hop = 0, routing = 43, fragment = 44, destination_options = 60;
  if (packet.size() < 40) return;
  std::uint8_t next = packet[6];
  std::size_t at = 40;
  bool later_fragment = false;
  while (at + 8 <= packet.size() && !later_fragment &&
         (next == hop_by_hop || next == routing || next == fragment || next == destination_options)) {
    const bool fixed = next == fragment;
    later_fragment = fixed && (get16(packet, at + 2) & 0xfff8u) != 0;
    next = packet[at];
    at += fixed ? 8 : (packet[at + 1] + 1u) * 8u;
  }
  const std::array sums{none, later_fragment ? none : transport_checksum(packet, at, next, true)};
  rewrite_both(rewrite, packet, 8, 16, next, sums);
}

void rewrite_arp(const Rewrite& rewrite, WritableView packet) noexcept {
  if (!parse_arp(packet)) return;
  rewrite_address(rewrite.addresses, packet, 14, 4, {});
  rewrite_address(rewrite.addresses, packet, 24, 4, {});
}

void rewrite_ip(const Rewrite& rewrite, WritableView packet) noexcept {
  if (packet.empty()) return;
  if (packet[0] >> 4 == 4) rewrite_ipv4(rewrite, packet);
  if (packet[0] >> 4 == 6) rewrite_ipv6(rewrite, packet);
}

}  // namespace

AddressMap parse_address_map(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) throw UsageError(fmt::format("'{}' is not OLD=NEW", text));
  const Prefix from = parse_prefix(text.substr(0, equals)), to = parse_prefix(text.substr(equals + 1));
  if (from.address.v6() != to.address.v6() || from.length != to.length)
    throw UsageError(fmt::format("'{}': both must be of the same version and length", text));
  return {from, to.address};
}

void Rewrite::apply(std::span<std::uint8_t> packet, Mode mode) const noexcept {
  if (mode == Mode::ip) rewrite_ip(*this, packet);
  if (mode != Mode::ethernet || packet.size() < 14) return;
  if (destination) std::copy(destination->begin(), destination->end(), packet.begin());
  if (source) std::copy(source->begin(), source->end(), packet.begin() + 6);
  std::uint16_t type = get16(packet, 12);
  packet = packet.subspan(14);
  for (int i = 0; i < 2 && packet.size() >= 4 && (type == ethertype::vlan || type == ethertype::qinq); ++i) {
    type = get16(packet, 2);
    packet = packet.subspan(4);
  }
  if (type == ethertype::arp)
    rewrite_arp(*this, packet);
  else if (type == ethertype::ipv4 || type == ethertype::ipv6)
    rewrite_ip(*this, packet);
}

}  // namespace memif::tool
