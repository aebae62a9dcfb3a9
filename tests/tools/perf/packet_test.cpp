#include "perf/packet.hpp"

#include <array>
#include <cstdint>
#include <gtest/gtest.h>

#include "common/command.hpp"

namespace memif::tool {
namespace {

TEST(PerfMark, IsReadAsItWasWrittenAndNothingElseIs) {
  std::uint8_t bytes[PerfMark::size] = {};
  PerfMark mark;
  EXPECT_FALSE(mark.read(bytes));
  PerfMark{3, 0x123456789ab, 77}.write(bytes);
  ASSERT_TRUE(mark.read(bytes));
  EXPECT_EQ(mark.series, 3);
  EXPECT_EQ(mark.sequence, 0x123456789abu);
  EXPECT_EQ(mark.sent_ns, 77u);
}

TEST(PerfMark, IsNotSoughtWhereThereIsNoUdp) {
  Bytes frame(64);
  EXPECT_FALSE(find_mark(frame, Mode::ethernet));
  put16(frame, 12, ethertype::ipv4);
  frame[14] = 0x46;  // with a word of options
  EXPECT_FALSE(find_mark(frame, Mode::ethernet));
  frame[23] = protocol::udp;
  for (const auto wrong :
       std::to_array<std::uint8_t>({0x44, 0x56, 0x06})) {  // no room for a header, and no version that there is
    Bytes other = frame;
    other[14] = wrong;
    EXPECT_FALSE(find_mark(other, Mode::ethernet)) << int{wrong};
  }
  EXPECT_EQ(find_mark(frame, Mode::ethernet), 14 + 24 + 8u);
  for (std::size_t size = 0; size < 34; ++size) EXPECT_FALSE(find_mark(View(frame).first(size), Mode::ethernet));
  for (std::size_t at = 12; at + 2 <= frame.size(); at += 4) put16(frame, at, ethertype::vlan);
  EXPECT_FALSE(find_mark(frame, Mode::ethernet));  // tags and nothing else
}

TEST(PerfSeries, OfTrialsAndDirectionsDoNotMeet) {
  const PerfSeries first = PerfSeries::of(0, 0), back = PerfSeries::of(0, 1), next = PerfSeries::of(1, 0);
  EXPECT_TRUE(first.contains(0) && first.contains(255));
  EXPECT_FALSE(first.contains(256));
  EXPECT_TRUE(back.contains(256));
  EXPECT_TRUE(next.contains(512));
  EXPECT_FALSE(next.contains(511));
  EXPECT_TRUE(PerfSeries::of(127, 1).contains(65535));
  EXPECT_FALSE(PerfSeries::of(127, 1).contains(0));
  EXPECT_TRUE(PerfSeries{}.contains(0) && PerfSeries{}.contains(65535));
}

TEST(SizeMix, SpreadsSizesByTheirWeights) {
  EXPECT_EQ(parse_size_mix("64"), std::vector<std::size_t>{64});
  EXPECT_EQ(parse_size_mix("64:2,1500:1"), (std::vector<std::size_t>{64, 1500, 64}));
  EXPECT_EQ(parse_size_mix("imix").size(), 12u);
  EXPECT_THROW(parse_size_mix("64:0"), UsageError);
  EXPECT_THROW(parse_size_mix("64,"), UsageError);
}

}  // namespace
}  // namespace memif::tool
