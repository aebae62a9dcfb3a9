// Addresses, MAC addresses and ports that follow one another, as header fields take them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/address.hpp"

namespace memif::tool {

// `count` numbers of `size` bytes, big-endian, from `first` on. They do not wrap.
struct FieldRange {
  std::array<std::uint8_t, 16> first{};
  std::size_t size = 0;
  std::uint64_t count = 1;

  // The number at `index`, which is less than `count`, to the beginning of `to`.
  void write(std::span<std::uint8_t> to, std::uint64_t index) const noexcept;
};

// What is written "FIRST" or "FIRST-LAST". Addresses are also written as a network, "10.0.0.0/24": its hosts, that is
// without the network's own and the broadcast address of IPv4, and without the routers' anycast address of IPv6. All
// throw UsageError.
FieldRange parse_address_range(std::string_view text);
FieldRange parse_mac_range(std::string_view text);
FieldRange parse_port_range(std::string_view text);
FieldRange mac_range(const Mac& mac) noexcept;  // of one

// Of ranges of the size that is asked for.
IpAddress address_at(const FieldRange& range, std::uint64_t index) noexcept;
AddressRange addresses(const FieldRange& range) noexcept;
std::uint64_t index_of(const IpAddress& address, const FieldRange& range) noexcept;  // of one that is in the range
Mac mac_at(const FieldRange& range, std::uint64_t index) noexcept;

}  // namespace memif::tool
