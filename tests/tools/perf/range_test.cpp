#include "perf/range.hpp"

#include <gtest/gtest.h>

#include "common/command.hpp"

namespace memif::tool {
namespace {

std::string at(const FieldRange& range, std::uint64_t index) { return to_string(address_at(range, index)); }

TEST(AddressRanges, OneAddressIsARangeOfOne) {
  const FieldRange range = parse_address_range("10.0.0.7");
  EXPECT_EQ(range.count, 1u);
  EXPECT_EQ(at(range, 0), "10.0.0.7");
}

TEST(AddressRanges, GoFromFirstToLastAcrossBytes) {
  const FieldRange range = parse_address_range("10.0.0.250-10.0.1.5");
  ASSERT_EQ(range.count, 12u);
  EXPECT_EQ(at(range, 5), "10.0.0.255");
  EXPECT_EQ(at(range, 6), "10.0.1.0");
  EXPECT_EQ(at(range, 11), "10.0.1.5");
  EXPECT_EQ(parse_address_range("fd00::fffe-fd00::1:1").count, 4u);
  EXPECT_EQ(at(parse_address_range("fd00::ffff:ffff-fd00::1:0:1"), 1), "fd00::1:0:0");
}

TEST(AddressRanges, NetworksAreTheirHosts) {
  const FieldRange range = parse_address_range("10.1.2.0/24");
  EXPECT_EQ(range.count, 254u);
  EXPECT_EQ(at(range, 0), "10.1.2.1");
  EXPECT_EQ(at(range, 253), "10.1.2.254");
  EXPECT_EQ(parse_address_range("10.1.2.4/31").count, 2u);
  EXPECT_EQ(parse_address_range("10.1.2.4/32").count, 1u);
  EXPECT_EQ(parse_address_range("fd00::/120").count, 255u);
  EXPECT_EQ(at(parse_address_range("fd00::/120"), 0), "fd00::1");
  EXPECT_GT(parse_address_range("fd00::/16").count, std::uint64_t{1} << 62);
  EXPECT_EQ(parse_address_range("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").count, ~std::uint64_t{0});
}

TEST(AddressRanges, KnowTheirAddressesAndTheNumberOfEach) {
  const FieldRange range = parse_address_range("10.0.0.250-10.0.1.5");
  for (std::uint64_t i = 0; i < range.count; ++i) {
    EXPECT_TRUE(addresses(range).contains(address_at(range, i)));
    EXPECT_EQ(index_of(address_at(range, i), range), i);
  }
  for (const char* other : {"10.0.0.249", "10.0.1.6", "0.0.0.0", "255.255.255.255", "a00:fb::"})
    EXPECT_FALSE(addresses(range).contains(parse_address(other))) << other;
}

TEST(AddressRanges, WhatIsNoneIsRefused) {
  for (const char* text :
       {"", "10.0.0", "10.0.0.1-", "-10.0.0.1", "10.0.0.2-10.0.0.1", "10.0.0.1-fd00::1", "10.0.0.1/24", "10.0.0.0/33",
        "10.0.0.0/", "10.0.0.0/24-10.0.0.9", "10.0.0.1-10.0.0.3-10.0.0.9", "host"})
    EXPECT_THROW(parse_address_range(text), UsageError) << text;
}

TEST(MacRanges, AreUnicast) {
  const FieldRange range = parse_mac_range("02:00:00:00:00:fe-02:00:00:00:01:01");
  ASSERT_EQ(range.count, 4u);
  EXPECT_EQ(to_string(mac_at(range, 2)), "02:00:00:00:01:00");
  for (const char* text : {"03:00:00:00:00:01", "02:00:00:00:00:00-04:00:00:00:00:00", "02:00:00:00:00", "02-04"})
    EXPECT_THROW(parse_mac_range(text), UsageError) << text;
}

TEST(PortRanges, AreNumbersFrom1To65535) {
  EXPECT_EQ(parse_port_range("1-65535").count, 65535u);
  for (const char* text : {"0", "65536", "5-4", "x", "1-", "1-70000"})
    EXPECT_THROW(parse_port_range(text), UsageError) << text;
}

}  // namespace
}  // namespace memif::tool
