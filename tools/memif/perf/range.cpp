#include "perf/range.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "common/command.hpp"
#include "common/units.hpp"

namespace memif::tool {
namespace {

constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();

FieldRange one(std::span<const std::uint8_t> bytes) noexcept {
  FieldRange range{.size = bytes.size()};
  std::copy(bytes.begin(), bytes.end(), range.first.begin());
  return range;
}

// How many there are from one number to another; no_limit where 64 bits do not hold it. 0: the last comes first.
std::uint64_t distance(const FieldRange& from, const FieldRange& to) noexcept {
  std::uint64_t low = 0;
  unsigned borrow = 0;
  bool huge = false;
  for (std::size_t i = 0; i < from.size; ++i) {  // from the least significant byte on
    const std::size_t at = from.size - 1 - i;
    const unsigned difference = 256u + to.first[at] - from.first[at] - borrow;
    borrow = difference < 256 ? 1 : 0;
    if (i < sizeof low) low |= std::uint64_t{difference & 0xff} << 8 * i;
    huge = huge || (i >= sizeof low && (difference & 0xff) != 0);
  }
  if (borrow != 0) return 0;
  return huge || low == no_limit ? no_limit : low + 1;
}

FieldRange between(const FieldRange& from, const FieldRange& to, std::string_view text) {
  if (from.size != to.size) throw UsageError(fmt::format("'{}': the two are of different families", text));
  FieldRange range = from;
  range.count = distance(from, to);
  if (range.count == 0) throw UsageError(fmt::format("'{}': the last comes before the first", text));
  return range;
}

FieldRange port(std::string_view text) {
  const auto number = static_cast<std::uint16_t>(parse_number(text, 1, 65535));
  return one(std::array{static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)});
}

// Hosts of a network. Those of two addresses or one have no other (RFC 3021).
FieldRange network(std::string_view text) {
  const Prefix prefix = parse_prefix(text);
  const auto bytes = prefix.address.bytes();
  const std::size_t bits = bytes.size() * 8, host_bits = bits - prefix.length;
  for (std::size_t bit = prefix.length; bit < bits; ++bit)
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1) != 0)
      throw UsageError(
          fmt::format("'{}' is an address with the length of its network: write the one or the other, "
                      "such as 10.0.0.1 or 10.0.0.0/24",
                      text));
  FieldRange range = one(bytes);
  range.count = host_bits >= 64 ? no_limit : std::uint64_t{1} << host_bits;
  if (host_bits < 2) return range;
  range.first[bytes.size() - 1] |= 1;
  range.count -= prefix.address.v6() ? 1 : 2;
  return range;
}

template <class Parse>
FieldRange parse_range(std::string_view text, Parse parse) {
  const std::size_t dash = text.find('-');
  if (dash == text.npos) return parse(text);
  return between(parse(text.substr(0, dash)), parse(text.substr(dash + 1)), text);
}

}  // namespace

void FieldRange::write(std::span<std::uint8_t> to, std::uint64_t index) const noexcept {
  unsigned carry = 0;
  for (std::size_t i = size; i-- > 0; index >>= 8) {
    const unsigned sum = first[i] + static_cast<unsigned>(index & 0xff) + carry;
    to[i] = static_cast<std::uint8_t>(sum);
    carry = sum >> 8;
  }
}

FieldRange parse_address_range(std::string_view text) {
  if (text.find('/') != text.npos) return network(text);
  return parse_range(text, [](std::string_view word) { return one(parse_address(word).bytes()); });
}

FieldRange parse_mac_range(std::string_view text) {
  const FieldRange range = parse_range(text, [](std::string_view word) { return one(parse_mac(word)); });
  if (mac_at(range, range.count - 1)[0] != range.first[0])
    throw UsageError(fmt::format("'{}': the first bytes differ, so that some of them are multicast addresses", text));
  return range;
}

FieldRange mac_range(const Mac& mac) noexcept { return one(mac); }

FieldRange parse_port_range(std::string_view text) { return parse_range(text, port); }

IpAddress address_at(const FieldRange& range, std::uint64_t index) noexcept {
  std::array<std::uint8_t, 16> bytes{};
  range.write(bytes, index);
  return range.size == 4 ? IpAddress(std::span<const std::uint8_t>(bytes).first<4>())
                         : IpAddress(std::span<const std::uint8_t, 16>(bytes));
}

AddressRange addresses(const FieldRange& range) noexcept {
  return {address_at(range, 0), address_at(range, range.count - 1)};
}

std::uint64_t index_of(const IpAddress& address, const FieldRange& range) noexcept {
  return distance(range, one(address.bytes())) - 1;
}

Mac mac_at(const FieldRange& range, std::uint64_t index) noexcept {
  Mac mac{};
  range.write(mac, index);
  return mac;
}

}  // namespace memif::tool
