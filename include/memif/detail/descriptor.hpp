// What a descriptor says, in one word: flags, region and length. docs/protocol.md, "Descriptor".
#pragma once

#include <bit>
#include <cstdint>

#include <memif/detail/wire.hpp>

namespace memif {

// The first word of a descriptor, as a value: copied out of shared memory or made here. Buffers have it with zeros for
// the region, so that the burst loops hand it over without taking it apart.
struct DescriptorWord {
  std::uint64_t value = 0;

  static constexpr DescriptorWord of(std::uint32_t length, bool more = false, std::uint16_t region = 0) noexcept {
    return {std::uint64_t{length} << 32 | std::uint64_t{region} << 16 | (more ? wire::descriptor_flag_next : 0u)};
  }

  constexpr std::uint16_t flags() const noexcept { return static_cast<std::uint16_t>(value); }
  constexpr std::uint16_t region() const noexcept { return static_cast<std::uint16_t>(value >> 16); }
  constexpr std::uint32_t length() const noexcept { return static_cast<std::uint32_t>(value >> 32); }
  constexpr bool more() const noexcept { return (value & wire::descriptor_flag_next) != 0; }

  // Flags and region: what the fast paths compare at once.
  constexpr std::uint32_t tag() const noexcept { return static_cast<std::uint32_t>(value); }

  // The length of a packet that is this one buffer of region 0. Of anything else, a chain's part or another region, it
  // is more than `longest`, and so is a length of 0 less one: one comparison tells all of them from what fits.
  constexpr std::uint64_t length_if_whole() const noexcept { return std::rotl(value, 32); }
  static constexpr std::uint64_t longest = ~std::uint32_t{0};

  constexpr bool operator==(const DescriptorWord&) const noexcept = default;
};

// A descriptor copied out of shared memory: it cannot change any more, and nothing in it has been checked.
struct RawDescriptor {
  DescriptorWord word;
  std::uint32_t offset = 0;
};

}  // namespace memif
