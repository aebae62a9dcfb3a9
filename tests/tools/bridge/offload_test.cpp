// Long TCP packets: cut into what fits a cable, and put together again.
#include "bridge/offload.hpp"

#include <functional>
#include <gtest/gtest.h>
#include <numeric>

#include "net/codec.hpp"

namespace memif::tool {
namespace {

constexpr std::uint8_t fin = 1, syn = 2, psh = 8, ack = 16, cwr = 128;
constexpr std::size_t part = 1000;

View view(const Frame& frame) { return {reinterpret_cast<const std::uint8_t*>(frame.data()), frame.size()}; }
Frame frame(const Bytes& bytes) { return std::as_bytes(std::span(bytes)); }

// A TCP packet as the kernel hands it over: with a timestamp option, and the pseudo header's sum as its checksum.
struct LongPacket {
  Bytes bytes;
  Offload how;
  std::size_t ip = 14;

  LongPacket(bool v6, std::size_t payload, std::uint8_t flags, bool tagged = false) {
    const Mac mac{2, 0, 0, 0, 0, 1};
    const auto source = *IpAddress::parse(v6 ? "fd00::1" : "10.0.0.1");
    const auto target = *IpAddress::parse(v6 ? "fd00::2" : "10.0.0.2");
    append_ethernet(bytes, mac, mac, tagged ? ethertype::vlan : v6 ? ethertype::ipv6 : ethertype::ipv4);
    if (tagged) {
      bytes.resize(18);
      put16(bytes, 14, 7);
      put16(bytes, 16, v6 ? ethertype::ipv6 : ethertype::ipv4);
      ip += 4;
    }
    append_ip(bytes, source, target, protocol::tcp, 64, 32 + payload);
    const std::size_t tcp = bytes.size();
    bytes.insert(bytes.end(), {0x13, 0x88, 0x14, 0x51, 0xff, 0xff, 0xfe, 0x00, 0, 0, 0, 9, 0x80, flags, 1, 2,
                               0,    0,    0,    0,    1,    1,    8,    10,   0, 0, 0, 3, 0,    0,     0, 4});
    bytes.resize(bytes.size() + payload);
    std::iota(bytes.end() - static_cast<std::ptrdiff_t>(payload), bytes.end(), std::uint8_t{1});
    const std::uint32_t pseudo = sum_pseudo_header(source, target, protocol::tcp, 32 + payload);
    put16(bytes, tcp + 16, static_cast<std::uint16_t>(~checksum({}, pseudo)));
    how = {Offload::needs_checksum,
           v6 ? Offload::tcp_v6 : Offload::tcp_v4,
           static_cast<std::uint16_t>(tcp + 32),
           part,
           static_cast<std::uint16_t>(tcp),
           16};
  }
};

// Keeps what the frames are made of.
struct Cut {
  Bytes packet, room = Bytes(segments_room);
  std::vector<Frame> frames;

  explicit Cut(const LongPacket& from) : packet(from.bytes) { cut(from.how, packet, room, frames); }
};

bool checksum_right(View frame, std::size_t at) {
  const auto ip = parse_ip(frame.subspan(at), frame.size() - at);
  return ip && ip->payload.size() == ip->payload_size &&
         checksum(ip->payload, sum_pseudo_header(ip->source, ip->destination, ip->protocol, ip->payload_size)) == 0;
}

// With checksums that are right again after a change.
void mend(Bytes& segment, bool v6) {
  const std::size_t tcp = v6 ? 54 : 34;
  if (!v6) {
    put16(segment, 24, 0);
    put16(segment, 24, checksum(View(segment).subspan(14, 20)));
  }
  put16(segment, tcp + 16, 0);
  const auto ip = parse_ip(View(segment).subspan(14), segment.size() - 14);
  ASSERT_TRUE(ip);
  put16(segment, tcp + 16,
        checksum(ip->payload, sum_pseudo_header(ip->source, ip->destination, ip->protocol, ip->payload_size)));
}

// The segment that follows `segment`, with the same payload.
Bytes successor(const Frame& segment, bool v6) {
  Bytes next(view(segment).begin(), view(segment).end());
  const std::size_t tcp = v6 ? 54 : 34;
  const auto sequence = static_cast<std::uint32_t>(get32(next, tcp + 4) + next.size() - tcp - 32);
  put16(next, tcp + 4, static_cast<std::uint16_t>(sequence >> 16));
  put16(next, tcp + 6, static_cast<std::uint16_t>(sequence));
  put16(next, 18, static_cast<std::uint16_t>(v6 ? get16(next, 18) : get16(next, 18) + 1));
  mend(next, v6);
  return next;
}

class OffloadTest : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Both, OffloadTest, testing::Bool(),
                         [](const auto& given) { return given.param ? "IPv6" : "IPv4"; });

TEST_P(OffloadTest, SegmentsAreWholePacketsInARow) {
  for (const bool tagged : {false, true}) {
    const LongPacket from(GetParam(), 3500, ack | psh | fin | cwr, tagged);
    const Cut made(from);
    ASSERT_EQ(made.frames.size(), 4u);
    const std::size_t tcp = from.how.checksum_start, header = from.how.header_size;
    Bytes payload;
    for (std::size_t i = 0; i < 4; ++i) {
      const View segment = view(made.frames[i]);
      EXPECT_EQ(segment.size(), header + (i == 3 ? 500 : part));
      EXPECT_TRUE(checksum_right(segment, from.ip)) << i;
      EXPECT_EQ(get32(segment, tcp + 4), static_cast<std::uint32_t>(0xffff'fe00u + i * part));  // past 2^32
      EXPECT_EQ(segment[tcp + 13], ack | (i == 0 ? cwr : 0) | (i == 3 ? fin | psh : 0));
      if (!GetParam()) {
        EXPECT_EQ(get16(segment, from.ip + 4), get16(from.bytes, from.ip + 4) + i);
      }
      payload.insert(payload.end(), segment.begin() + static_cast<std::ptrdiff_t>(header), segment.end());
    }
    EXPECT_TRUE(std::equal(payload.begin(), payload.end(), from.bytes.begin() + static_cast<std::ptrdiff_t>(header)));
  }
}

TEST_P(OffloadTest, JoinedAgainTheyAreThePacketThatWas) {
  const LongPacket from(GetParam(), 3500, ack | psh);
  const Cut made(from);
  Joiner joiner;
  for (const Frame& segment : made.frames) EXPECT_TRUE(joiner.add(segment));
  const auto parts = joiner.packet();
  ASSERT_EQ(parts[0].iov_len, sizeof(Offload));
  EXPECT_EQ(std::memcmp(parts[0].iov_base, &from.how, sizeof(Offload)), 0);
  Bytes joined;
  for (const iovec& one : parts.subspan(1)) {
    const auto* begin = static_cast<const std::uint8_t*>(one.iov_base);
    joined.insert(joined.end(), begin, begin + one.iov_len);
  }
  EXPECT_EQ(joined, from.bytes);
}

TEST_P(OffloadTest, OneSegmentGoesAsItCame) {
  const Cut made(LongPacket(GetParam(), 700, ack));
  Joiner joiner;
  ASSERT_TRUE(joiner.add(made.frames[0]));
  const auto parts = joiner.packet();
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(static_cast<const Offload*>(parts[0].iov_base)->flags, 0);
  EXPECT_EQ(parts[1].iov_base, made.frames[0].data());
  EXPECT_EQ(parts[1].iov_len, made.frames[0].size());
}

TEST_P(OffloadTest, APacketEndsWithAShortSegmentOrAPush) {
  const Cut shorter(LongPacket(GetParam(), 1500, ack)), pushed(LongPacket(GetParam(), 2000, ack | psh));
  for (const Cut* made : {&shorter, &pushed}) {
    Joiner joiner;
    for (const Frame& segment : made->frames) EXPECT_TRUE(joiner.add(segment));
    const Bytes next = successor(made->frames[1], GetParam());
    EXPECT_FALSE(joiner.add(frame(next)));
  }
}

// What changes a segment so that it can be no part of the packet; its checksums are made right again.
TEST_P(OffloadTest, WhatIsNoPartOfTheStreamIsNotJoined) {
  const bool v6 = GetParam();
  const std::size_t tcp = v6 ? 54 : 34;
  const Cut made(LongPacket(v6, 3000, ack));
  const auto refused = [&](const char* what, const std::function<void(Bytes&)>& change) {
    Bytes second(view(made.frames[1]).begin(), view(made.frames[1]).end());
    change(second);
    mend(second, v6);
    Joiner joiner;
    ASSERT_TRUE(joiner.add(made.frames[0])) << what;
    EXPECT_FALSE(joiner.add(frame(second))) << what;
  };
  refused("another MAC", [](Bytes& b) { b[5] ^= 1; });
  refused("another address", [&](Bytes& b) { b[tcp - 1] ^= 1; });
  refused("another hop limit", [&](Bytes& b) { b[v6 ? 21 : 22] ^= 1; });
  refused("another traffic class", [](Bytes& b) { b[15] ^= 0x10; });
  refused("another port", [&](Bytes& b) { b[tcp + 1] ^= 1; });
  refused("a gap", [&](Bytes& b) { b[tcp + 7] ^= 1; });
  refused("another acknowledgement", [&](Bytes& b) { b[tcp + 11] ^= 1; });
  refused("another window", [&](Bytes& b) { b[tcp + 15] ^= 1; });
  refused("another option", [&](Bytes& b) { b[tcp + 31] ^= 1; });
  refused("an urgent pointer", [&](Bytes& b) { b[tcp + 19] ^= 1; });
  refused("other flags", [&](Bytes& b) { b[tcp + 13] |= fin; });
  if (v6) return;
  refused("a fragment", [](Bytes& b) { b[20] = 0x20; });
}

TEST(OffloadNumbers, CountOnlyWhereAPacketMayBeFragmented) {
  for (const bool fixed : {false, true}) {
    LongPacket from(false, 1000, ack);
    if (!fixed) from.bytes[20] = 0;
    const Cut made(from);
    Bytes next = successor(made.frames[0], false);
    put16(next, 18, 0x7777);
    mend(next, false);
    Joiner joiner;
    ASSERT_TRUE(joiner.add(made.frames[0]));
    EXPECT_EQ(joiner.add(frame(next)), fixed);
  }
}

TEST_P(OffloadTest, WhatIsNoSegmentIsNotJoined) {
  const std::size_t tcp = GetParam() ? 54 : 34;
  const Cut made(LongPacket(GetParam(), 500, ack));
  const Bytes good(view(made.frames[0]).begin(), view(made.frames[0]).end());
  const auto refused = [&](const char* what, const std::function<void(Bytes&)>& change) {
    Bytes bytes = good;
    change(bytes);
    EXPECT_FALSE(Joiner().add(frame(bytes))) << what;
  };
  ASSERT_TRUE(Joiner().add(frame(good)));
  refused("a wrong checksum", [](Bytes& b) { b.back() ^= 1; });
  refused("padding", [](Bytes& b) { b.push_back(0); });
  refused("less than it says", [](Bytes& b) { b.pop_back(); });
  refused("a header that is too long", [&](Bytes& b) { b[tcp + 12] = 0xf0; });
  refused("a header that is too short", [&](Bytes& b) { b[tcp + 12] = 0x40; });
  refused("SYN", [&](Bytes& b) { b[tcp + 13] = syn; });
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(Joiner().add(frame(good).first(size))) << size;
}

TEST_P(OffloadTest, APacketStaysWithin64KiB) {
  LongPacket from(GetParam(), 60000, ack);
  from.how.segment_size = 30000;
  const Cut made(from);
  Joiner joiner;
  for (const Frame& segment : made.frames) ASSERT_TRUE(joiner.add(segment));
  const Bytes next = successor(made.frames[1], GetParam());
  EXPECT_FALSE(joiner.add(frame(next)));
  joiner.clear();
  EXPECT_TRUE(joiner.add(frame(next)));
}

TEST(OffloadChecksum, IsCompleted) {
  Bytes packet;
  const auto a = *IpAddress::parse("10.0.0.1"), b = *IpAddress::parse("10.0.0.2");
  append_ethernet(packet, {}, {}, ethertype::ipv4);
  append_ip(packet, a, b, protocol::udp, 64, 12);
  packet.insert(packet.end(), {0, 9, 0, 9, 0, 12, 0, 0, 'a', 'b', 'c', 'd'});
  put16(packet, 40, static_cast<std::uint16_t>(~checksum({}, sum_pseudo_header(a, b, protocol::udp, 12))));
  std::vector<Frame> frames;
  EXPECT_EQ(cut({Offload::needs_checksum, Offload::none, 0, 0, 34, 6}, packet, {}, frames), 0u);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_TRUE(checksum_right(view(frames[0]), 14));
}

TEST(OffloadChecksum, WhatDoesNotFitThePacketIsDropped) {
  const LongPacket good(false, 5000, ack);
  const auto dropped = [&](const std::function<void(LongPacket&)>& change) {
    LongPacket packet = good;
    change(packet);
    return Cut(packet).frames.empty();
  };
  EXPECT_FALSE(dropped([](LongPacket&) {}));
  EXPECT_TRUE(dropped([](LongPacket& p) { p.how.segments = 3; }));  // UDP
  EXPECT_TRUE(dropped([](LongPacket& p) { p.how.segment_size = 0; }));
  EXPECT_TRUE(dropped([](LongPacket& p) { p.how.segment_size = 1; }));  // more than there is room for
  EXPECT_TRUE(dropped([](LongPacket& p) { p.how.checksum_start = 20; }));
  EXPECT_TRUE(dropped([](LongPacket& p) { p.how.checksum_start = 0xffff; }));
  EXPECT_TRUE(dropped([](LongPacket& p) { p.bytes[p.how.checksum_start + 12] = 0; }));
  EXPECT_TRUE(dropped([](LongPacket& p) { p.bytes.resize(p.how.checksum_start + 19u); }));
  EXPECT_TRUE(dropped([](LongPacket& p) {
    p.how.segments = Offload::none;
    p.how.checksum_start = static_cast<std::uint16_t>(p.bytes.size() - 1);
    p.how.checksum_offset = 0;
  }));
}

}  // namespace
}  // namespace memif::tool
