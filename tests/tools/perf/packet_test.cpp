#include "perf/packet.hpp"

#include <gtest/gtest.h>

#include "common/command.hpp"

namespace memif::tool {
namespace {

TEST(PerfPacket, IsValidEthernetIpv4Udp) {
  for (const std::size_t size : {64u, 1500u, 9000u}) {
    const Bytes packet = perf_packet(Mode::ethernet, size);
    ASSERT_EQ(packet.size(), size);
    const auto frame = parse_ethernet(packet);
    ASSERT_TRUE(frame);
    const auto ip = parse_ip(frame->payload, size - 14);
    ASSERT_TRUE(ip);
    EXPECT_EQ(ip->protocol, protocol::udp);
    EXPECT_EQ(ip->payload_size, size - 34);
    EXPECT_EQ(get16(ip->payload, 4), size - 34);
  }
}

TEST(PerfPacket, HasNoEthernetInIpMode) {
  const Bytes packet = perf_packet(Mode::ip, 64);
  EXPECT_TRUE(parse_ip(packet, 64));
}

TEST(PerfPacket, RefusesSizesThatCannotHoldTheMarkOrAreTooLong) {
  EXPECT_THROW(perf_packet(Mode::ethernet, 63), UsageError);
  EXPECT_THROW(perf_packet(Mode::ethernet, 65550), UsageError);
  EXPECT_THROW(perf_packet(Mode::ip, 49), UsageError);
}

TEST(PerfMark, IsReadAsItWasWrittenAndNothingElseIs) {
  std::uint8_t bytes[PerfMark::size] = {};
  PerfMark mark;
  EXPECT_FALSE(mark.read(bytes));
  PerfMark{3, 0x123456789ab, 77}.write(bytes);
  ASSERT_TRUE(mark.read(bytes));
  EXPECT_EQ(mark.queue, 3);
  EXPECT_EQ(mark.sequence, 0x123456789abu);
  EXPECT_EQ(mark.sent_ns, 77u);
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
