#include "net/reassembly.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

#include "net/responder.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

constexpr Reassembler::Time start{};

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{7});
  return bytes;
}

// A fragment as a host sends it.
Bytes packet(bool v6, std::uint32_t id, std::size_t offset, bool more, View payload) {
  Bytes out;
  if (v6) {
    append_ip(out, ip("fd00::1"), ip("fd00::2"), protocol::fragment, 64, 8 + payload.size());
    out.insert(out.end(), {protocol::icmpv6, 0, 0, 0, 0, 0, 0, 0});
    put16(out, 42, static_cast<std::uint16_t>(offset | (more ? 1 : 0)));
    put16(out, 44, static_cast<std::uint16_t>(id >> 16));
    put16(out, 46, static_cast<std::uint16_t>(id));
  } else {
    append_ip(out, ip("10.0.0.1"), ip("10.0.0.2"), protocol::icmp, 64, payload.size());
    put16(out, 4, static_cast<std::uint16_t>(id));
    put16(out, 6, static_cast<std::uint16_t>(offset / 8 | (more ? 0x2000 : 0)));
    put16(out, 10, 0);
    put16(out, 10, checksum(View(out).first(20)));
  }
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

class ReassemblyTest : public testing::TestWithParam<bool> {
 protected:
  // The payload of the datagram that this part of `whole` completes.
  std::optional<Bytes> add(std::uint32_t id, std::size_t begin, std::size_t end, bool more,
                           Reassembler::Time now = start) {
    const Bytes bytes = packet(GetParam(), id, begin, more, View(whole_).subspan(begin, end - begin));
    const auto fragment = parse_fragment(bytes);
    EXPECT_TRUE(fragment);
    if (!fragment) return std::nullopt;
    const auto result = reassembler_.add(link_, *fragment, now);
    if (!result) return std::nullopt;
    EXPECT_TRUE(std::equal(link_.begin(), link_.end(), result->begin()));
    const View inner = result->subspan(link_.size());
    const auto joined = parse_ip(inner, inner.size());
    EXPECT_TRUE(joined);
    if (!joined) return std::nullopt;
    EXPECT_FALSE(joined->fragment);
    EXPECT_EQ(joined->protocol, GetParam() ? protocol::icmpv6 : protocol::icmp);
    EXPECT_EQ(joined->header_size + joined->payload_size, inner.size());
    return Bytes(joined->payload.begin(), joined->payload.end());
  }
  Bytes first(std::size_t size) const { return Bytes(whole_.begin(), whole_.begin() + std::ptrdiff_t(size)); }

  const Bytes link_ = pattern(14);
  const Bytes whole_ = pattern(65535);
  Reassembler reassembler_{{.datagrams = 4, .bytes = 200'000, .parts = 100, .age = 30s}};
};

INSTANTIATE_TEST_SUITE_P(, ReassemblyTest, testing::Bool(), [](const auto& test) { return test.param ? "V6" : "V4"; });

TEST_P(ReassemblyTest, PartsInAnyOrderMakeTheDatagram) {
  std::array<std::size_t, 3> order{0, 1, 2};
  std::uint32_t id = 1;
  do {
    std::optional<Bytes> joined;
    for (const std::size_t i : order) {
      EXPECT_FALSE(joined);
      joined = add(id, i * 1480, i == 2 ? 3001 : (i + 1) * 1480, i != 2);
    }
    EXPECT_EQ(joined, first(3001));
    EXPECT_EQ(reassembler_.incomplete(), 0u);
    EXPECT_EQ(reassembler_.bytes(), 0u);
    ++id;
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_P(ReassemblyTest, TheLongestDatagram) {
  const std::size_t size = GetParam() ? longest_payload_v6 : longest_payload_v4;
  std::optional<Bytes> joined;
  for (std::size_t at = 0; at < size; at += 1480) joined = add(1, at, std::min(at + 1480, size), at + 1480 < size);
  EXPECT_EQ(joined, first(size));
}

TEST_P(ReassemblyTest, DatagramsDoNotMix) {
  EXPECT_FALSE(add(1, 0, 800, true));
  EXPECT_FALSE(add(2, 800, 1000, false));
  EXPECT_EQ(add(1, 800, 900, false), first(900));
  EXPECT_EQ(add(2, 0, 800, true), first(1000));
}

TEST_P(ReassemblyTest, ThePartThatComesTwiceCountsOnce) {
  EXPECT_FALSE(add(1, 0, 800, true));
  EXPECT_FALSE(add(1, 0, 800, true));
  EXPECT_EQ(add(1, 800, 900, false), first(900));
}

TEST_P(ReassemblyTest, PartsThatOverlapAreNoDatagram) {
  const std::pair<std::size_t, std::size_t> overlapping[] = {{0, 808}, {792, 1600}, {8, 16}, {0, 1600}, {792, 800}};
  for (const auto& [begin, end] : overlapping) {
    EXPECT_FALSE(add(1, 0, 800, true));
    EXPECT_FALSE(add(1, begin, end, true));
    EXPECT_EQ(reassembler_.incomplete(), 0u) << begin;
    EXPECT_FALSE(add(1, 800, 900, false));  // begins another, that lacks its first part
    EXPECT_EQ(reassembler_.incomplete(), 1u);
    EXPECT_FALSE(add(1, 800, 1000, false));
    EXPECT_EQ(reassembler_.incomplete(), 0u);
  }
}

TEST_P(ReassemblyTest, NothingLiesBeyondTheEnd) {
  EXPECT_FALSE(add(1, 800, 900, false));
  EXPECT_FALSE(add(1, 904, 1600, true));
  EXPECT_EQ(reassembler_.incomplete(), 0u);
  EXPECT_FALSE(add(1, 1600, 2400, true));
  EXPECT_FALSE(add(1, 800, 900, false));
  EXPECT_EQ(reassembler_.incomplete(), 0u);
}

TEST_P(ReassemblyTest, TheOldestGivesWayToTheNewest) {
  for (std::uint32_t id = 1; id <= 5; ++id) EXPECT_FALSE(add(id, 0, 800, true));
  EXPECT_EQ(reassembler_.incomplete(), 4u);
  EXPECT_EQ(add(5, 800, 900, false), first(900));
  EXPECT_EQ(add(2, 800, 900, false), first(900));
  EXPECT_FALSE(add(1, 800, 900, false));
}

TEST_P(ReassemblyTest, AgeEndsIt) {
  EXPECT_FALSE(add(1, 0, 800, true));
  EXPECT_FALSE(add(2, 0, 800, true, start + 29s));
  EXPECT_FALSE(add(1, 800, 900, false, start + 30s));
  EXPECT_EQ(add(2, 800, 900, false, start + 58s), first(900));
}

TEST_P(ReassemblyTest, KeepsNoMoreBytesThanItMay) {
  for (std::uint32_t id = 1; id <= 4; ++id) {
    EXPECT_FALSE(add(id, 60'000, 64'000, true));
    EXPECT_LE(reassembler_.bytes(), 200'000u);
  }
  EXPECT_EQ(reassembler_.incomplete(), 3u);
}

TEST_P(ReassemblyTest, HasNoMorePartsThanItMay) {
  for (std::size_t i = 1; i <= 100; ++i) EXPECT_FALSE(add(1, i * 16, i * 16 + 8, true));
  EXPECT_EQ(reassembler_.incomplete(), 1u);
  EXPECT_FALSE(add(1, 0, 8, true));
  EXPECT_EQ(reassembler_.incomplete(), 0u);
}

TEST_P(ReassemblyTest, WhatCannotBeAFragmentIsNone) {
  const bool v6 = GetParam();
  EXPECT_FALSE(parse_fragment(packet(v6, 1, 0, true, first(801))));                  // no multiple of 8
  EXPECT_FALSE(parse_fragment(packet(v6, 1, 8, false, Bytes())));                    // empty
  EXPECT_FALSE(parse_fragment(packet(v6, 1, v6 ? 65528 : 65512, false, first(8))));  // ends too far away
  EXPECT_TRUE(parse_fragment(packet(v6, 1, v6 ? 65528 : 65512, false, first(v6 ? 7 : 3))));
  Bytes cut = packet(v6, 1, 0, true, first(800));
  cut.pop_back();
  EXPECT_FALSE(parse_fragment(cut));
  EXPECT_FALSE(parse_fragment(Bytes()));
}

TEST(Fragment, AWholePacketIsNone) {
  Bytes echo;
  append_echo(echo, ip("10.0.0.1"), ip("10.0.0.2"), {true, 1, 2}, Bytes(100));
  EXPECT_FALSE(parse_fragment(echo));
}

}  // namespace
}  // namespace memif::tool
