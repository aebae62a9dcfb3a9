// How long a packet is by what its own headers say, where nothing else tells. docs/architecture.md, "The tap".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <memif/config.hpp>

namespace memif::detail {

// The first bytes of a packet; nothing if its headers do not say. Padding behind what they describe is not counted.
std::optional<std::uint32_t> length_by_headers(std::span<const std::byte> head, Mode mode) noexcept;

// So many first bytes are enough, whatever the packet: Ethernet, three VLAN tags, IPv6.
inline constexpr std::size_t headers_looked_at = 14 + 3 * 4 + 40;

}  // namespace memif::detail
