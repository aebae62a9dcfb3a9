#include "capture/pcapng.hpp"

#include <algorithm>
#include <bit>
#include <gtest/gtest.h>

namespace memif::tool {
namespace {

static_assert(std::endian::native == std::endian::little, "the expected bytes below are little-endian");

constexpr CaptureTime moment{std::chrono::nanoseconds(0x1122334455667788)};

TEST(Pcapng, SectionHeader) {
  Bytes out;
  pcapng::append_section_header(out, "test");
  const Bytes expected{
      0x0a, 0x0d, 0x0d, 0x0a, 40,   0,    0,    0,     // block type, length
      0x4d, 0x3c, 0x2b, 0x1a, 1,    0,    0,    0,     // byte order, version 1.0
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,  // length not known
      4,    0,    4,    0,    't',  'e',  's',  't',   // application
      0,    0,    0,    0,    40,   0,    0,    0,     // end of options, length
  };
  EXPECT_EQ(out, expected);
}

TEST(Pcapng, InterfaceHasNanoseconds) {
  Bytes out;
  pcapng::append_interface(out, {101, 96, "m", ""});
  const Bytes expected{
      1,   0, 0, 0, 40,  0, 0, 0,  // block type, length
      101, 0, 0, 0, 96,  0, 0, 0,  // link type, snap length
      2,   0, 1, 0, 'm', 0, 0, 0,  // name
      9,   0, 1, 0, 9,   0, 0, 0,  // resolution 10^-9
      0,   0, 0, 0, 40,  0, 0, 0,  // end of options, length
  };
  EXPECT_EQ(out, expected);
}

// A packet's block around the given bytes.
Bytes packet_block(const Bytes& data, pcapng::PacketRecord packet) {
  Bytes block(pcapng::packet_head + data.size() + pcapng::packet_tail, 0xee);
  std::copy(data.begin(), data.end(), block.begin() + pcapng::packet_head);
  packet.size = data.size();
  block.resize(pcapng::write_packet(block.data(), packet));
  return block;
}

TEST(Pcapng, PacketIsPaddedAndKeepsItsLength) {
  const Bytes expected{
      6,    0,    0,    0,    40,   0,    0,    0,    7,  0, 0, 0,  // block type, length, interface
      0x44, 0x33, 0x22, 0x11, 0x88, 0x77, 0x66, 0x55,               // upper half of the time, lower half
      5,    0,    0,    0,    0xdc, 0x05, 0,    0,                  // captured, original length
      1,    2,    3,    4,    5,    0,    0,    0,    40, 0, 0, 0,  // data, padding, length
  };
  EXPECT_EQ(packet_block({1, 2, 3, 4, 5}, {.interface = 7, .time = moment, .original_size = 1500}), expected);
}

TEST(Pcapng, PacketWithADirection) {
  const Bytes block =
      packet_block({1, 2, 3, 4, 5}, {.time = moment, .original_size = 5, .direction = Direction::inbound});
  const Bytes expected{
      1,  2, 3, 4, 5, 0, 0, 0,              // data, padding
      2,  0, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0,  // flags: inbound; end of options
      52, 0, 0, 0,                          // length
  };
  EXPECT_EQ(Bytes(block.begin() + 28, block.end()), expected);
}

TEST(Pcapng, PacketsOfAllSizesFitIntoTheirRoom) {
  for (std::size_t size = 0; size < 9; ++size) {
    const Bytes block = packet_block(Bytes(size), {.time = moment, .direction = Direction::outbound});
    EXPECT_EQ(block.size() % 4, 0u);
    EXPECT_LE(block.size(), pcapng::packet_head + size + pcapng::packet_tail);
  }
}

TEST(Pcapng, PacketOfMoreBytesThan32BitsCount) {
  Bytes block(pcapng::packet_head + 4 + pcapng::packet_tail);
  pcapng::write_packet(block.data(), {.size = 4, .original_size = (std::size_t{1} << 32) + 4});
  EXPECT_EQ(block[20], 4);
  EXPECT_EQ(Bytes(block.begin() + 24, block.begin() + 28), Bytes(4, 0xff));
}

TEST(Pcapng, StatisticsHaveDrops) {
  Bytes out;
  pcapng::append_statistics(out, 3, moment, {moment, moment, 10, 3, 7});
  ASSERT_EQ(out.size(), 88u);
  EXPECT_EQ(out[0], 5);
  EXPECT_EQ(out[8], 3);
  EXPECT_EQ(Bytes(out.begin() + 44, out.begin() + 56), (Bytes{4, 0, 8, 0, 10, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(Bytes(out.begin() + 56, out.begin() + 68), (Bytes{5, 0, 8, 0, 3, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(Bytes(out.begin() + 68, out.begin() + 80), (Bytes{6, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(Pcapng, LinkTypesOfFiles) {
  EXPECT_EQ(pcapng::file_link_type(1), 1);
  EXPECT_EQ(pcapng::file_link_type(12), 101);
}

}  // namespace
}  // namespace memif::tool
