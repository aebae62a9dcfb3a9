#include "common/address.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <fmt/format.h>
#include <random>

#include "common/command.hpp"
#include "common/units.hpp"

namespace memif::tool {

std::string to_string(const Mac& mac) { return fmt::format("{:02x}", fmt::join(mac, ":")); }

Mac parse_mac(std::string_view text) {
  Mac mac{};
  const char* at = text.data();
  const char* const end = at + text.size();
  bool good = text.size() == 17;
  for (std::size_t i = 0; good && i < mac.size(); ++i) {
    const auto [rest, error] = std::from_chars(at, at + 2, mac[i], 16);
    good = error == std::errc{} && rest == at + 2 && (rest == end || *rest == ':');
    at = rest + (rest == end ? 0 : 1);
  }
  if (!good || (mac[0] & 1) != 0)
    throw UsageError(fmt::format("'{}' is not a unicast MAC address such as 02:fe:00:00:00:01", text));
  return mac;
}

Mac random_mac() {
  std::random_device random;
  Mac mac{};
  std::generate(mac.begin(), mac.end(), [&random] { return static_cast<std::uint8_t>(random()); });
  mac[0] = static_cast<std::uint8_t>((mac[0] & 0xfc) | 0x02);
  return mac;
}

IpAddress::IpAddress(std::span<const std::uint8_t, 4> bytes) noexcept {
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

IpAddress::IpAddress(std::span<const std::uint8_t, 16> bytes) noexcept : v6_(true) {
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy(text);
  std::array<std::uint8_t, 16> bytes{};
  if (::inet_pton(AF_INET, copy.c_str(), bytes.data()) == 1)
    return IpAddress(std::span<const std::uint8_t>(bytes).first<4>());
  if (::inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1)
    return IpAddress(std::span<const std::uint8_t, 16>(bytes));
  return std::nullopt;
}

IpAddress IpAddress::solicited_node() const noexcept {
  IpAddress group;
  group.v6_ = true;
  group.bytes_ = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, bytes_[13], bytes_[14], bytes_[15]};
  return group;
}

Mac IpAddress::multicast_mac() const noexcept { return {0x33, 0x33, bytes_[12], bytes_[13], bytes_[14], bytes_[15]}; }

std::string to_string(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(address.v6() ? AF_INET6 : AF_INET, address.bytes().data(), text.data(), text.size());
  return text.data();
}

bool AddressRange::contains(const IpAddress& address) const noexcept {
  const auto below = [](const IpAddress& a, const IpAddress& b) {
    return std::lexicographical_compare(a.bytes().begin(), a.bytes().end(), b.bytes().begin(), b.bytes().end());
  };
  return address.v6() == first.v6() && !below(address, first) && !below(last, address);
}

IpAddress parse_address(std::string_view text) {
  if (const auto address = IpAddress::parse(text)) return *address;
  throw UsageError(fmt::format("'{}' is not an IPv4 or IPv6 address", text));
}

Prefix parse_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  const IpAddress address = parse_address(text.substr(0, slash));
  const unsigned longest = address.v6() ? 128 : 32;
  if (slash == std::string_view::npos) return {address, longest};
  return {address, static_cast<unsigned>(parse_number(text.substr(slash + 1), 0, longest))};
}

}  // namespace memif::tool
