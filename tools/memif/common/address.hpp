// MAC and IP addresses: values, read and written as text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace memif::tool {

using Mac = std::array<std::uint8_t, 6>;

inline constexpr Mac broadcast_mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

std::string to_string(const Mac& mac);
Mac parse_mac(std::string_view text);  // throws UsageError
Mac random_mac();                      // locally administered, unicast

// An IPv4 or IPv6 address.
class IpAddress {
 public:
  IpAddress() noexcept = default;  // 0.0.0.0
  explicit IpAddress(std::span<const std::uint8_t, 4> bytes) noexcept;
  explicit IpAddress(std::span<const std::uint8_t, 16> bytes) noexcept;

  static std::optional<IpAddress> parse(std::string_view text);

  bool v6() const noexcept { return v6_; }
  std::span<const std::uint8_t> bytes() const noexcept {
    return std::span<const std::uint8_t>(bytes_).first(v6_ ? 16u : 4u);
  }
  bool unspecified() const noexcept { return bytes_ == decltype(bytes_){}; }
  bool multicast() const noexcept { return v6_ ? bytes_[0] == 0xff : (bytes_[0] & 0xf0) == 0xe0; }

  // IPv6: the group in which the owner of an address is asked for its MAC, and the MAC of any multicast group.
  IpAddress solicited_node() const noexcept;
  Mac multicast_mac() const noexcept;

  bool operator==(const IpAddress&) const noexcept = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  bool v6_ = false;
};

std::string to_string(const IpAddress& address);

// The addresses from one to another of the same family, both included. A single address is one, too.
struct AddressRange {
  AddressRange(const IpAddress& one) noexcept : first(one), last(one) {}
  AddressRange(const IpAddress& from, const IpAddress& to) noexcept : first(from), last(to) {}

  IpAddress first, last;
  bool contains(const IpAddress& address) const noexcept;
};

// An address with the length of its network: "192.168.1.1/24". The length may be left out.
struct Prefix {
  IpAddress address;
  unsigned length = 0;
};

IpAddress parse_address(std::string_view text);  // throws UsageError
Prefix parse_prefix(std::string_view text);      // throws UsageError

}  // namespace memif::tool
