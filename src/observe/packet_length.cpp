#include "observe/packet_length.hpp"

namespace memif::detail {
namespace {

constexpr std::size_t mac_addresses = 12, vlan_tag = 4, most_tags = 3;
constexpr std::uint16_t longest_802_3 = 1500;

enum EtherType : std::uint16_t {
  ipv4 = 0x0800,
  arp = 0x0806,
  vlan = 0x8100,
  ipv6 = 0x86dd,
  provider_vlan = 0x88a8,
};

class Head {
 public:
  explicit Head(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

  std::optional<std::uint16_t> number(std::size_t at) const noexcept {
    if (at + 2 > bytes_.size()) return std::nullopt;
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes_[at]) << 8 |
                                      std::to_integer<unsigned>(bytes_[at + 1]));
  }
  std::optional<unsigned> ip_version(std::size_t at) const noexcept {
    if (at >= bytes_.size()) return std::nullopt;
    return std::to_integer<unsigned>(bytes_[at]) >> 4;
  }

 private:
  std::span<const std::byte> bytes_;
};

// What begins at `at`, with the bytes before it.
std::optional<std::uint32_t> sum(std::size_t at, std::size_t fixed, std::optional<std::uint16_t> told) noexcept {
  if (!told || *told == 0) return std::nullopt;  // 0: left to a network card that cuts it, or a jumbogram
  return static_cast<std::uint32_t>(at + fixed + *told);
}

std::optional<std::uint32_t> ip(const Head& head, std::size_t at) noexcept {
  constexpr std::size_t v4_length = 2, v6_length = 4, v6_header = 40;
  const auto version = head.ip_version(at);
  if (version == 4u) return sum(at, 0, head.number(at + v4_length));
  if (version == 6u) return sum(at, v6_header, head.number(at + v6_length));
  return std::nullopt;
}

std::optional<std::uint32_t> ethernet(const Head& head) noexcept {
  constexpr std::uint32_t arp_of_ipv4 = 28;
  std::size_t at = mac_addresses;
  auto type = head.number(at);
  for (std::size_t tags = 0; tags != most_tags && type && (*type == vlan || *type == provider_vlan); ++tags)
    type = head.number(at += vlan_tag);
  if (!type) return std::nullopt;
  at += 2;
  if (*type <= longest_802_3) return sum(at, 0, type);
  if (*type == arp) return static_cast<std::uint32_t>(at) + arp_of_ipv4;
  if (*type == ipv4 || *type == ipv6) return ip(head, at);
  return std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> length_by_headers(std::span<const std::byte> head, Mode mode) noexcept {
  switch (mode) {
    case Mode::ethernet:
      return ethernet(Head(head));
    case Mode::ip:
      return ip(Head(head), 0);
    case Mode::punt_inject:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace memif::detail
