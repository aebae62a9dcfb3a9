// Changing the addresses of packets while their checksums stay as right, or as wrong, as they were.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <memif/config.hpp>

#include "common/address.hpp"
#include "net/codec.hpp"

namespace memif::tool {

// Addresses of one network become those of another of the same size: the host's part stays.
struct AddressMap {
  Prefix from;
  IpAddress to;
};

// "10.0.0.0/8=192.0.0.0/8", "fd00::1=fd00::2". Throws UsageError.
AddressMap parse_address_map(std::string_view text);

struct Rewrite {
  std::optional<Mac> source, destination;
  std::vector<AddressMap> addresses;  // the first that matches counts

  bool nothing() const noexcept { return !source && !destination && addresses.empty(); }

  // Changes MAC addresses, and the IP addresses in IPv4, IPv6 and ARP headers, behind up to two VLAN tags. Checksums of
  // IPv4, TCP, UDP and ICMPv6 are adjusted as far as the packet has them. What is not understood stays as it is.
  void apply(std::span<std::uint8_t> packet, Mode mode) const noexcept;
};

}  // namespace memif::tool
