#include "pcapng.hpp"

#include <bit>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "command.hpp"

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

TEST(Pcapng, PacketIsPaddedAndKeepsItsLength) {
  Bytes out;
  pcapng::append_packet(out, moment, Bytes{1, 2, 3, 4, 5}, 1500);
  const Bytes expected{
      6,    0,    0,    0,    40,   0,    0,    0,    0,  0, 0, 0,  // block type, length, interface 0
      0x44, 0x33, 0x22, 0x11, 0x88, 0x77, 0x66, 0x55,               // upper half of the time, lower half
      5,    0,    0,    0,    0xdc, 0x05, 0,    0,                  // captured, original length
      1,    2,    3,    4,    5,    0,    0,    0,    40, 0, 0, 0,  // data, padding, length
  };
  EXPECT_EQ(out, expected);
}

TEST(Pcapng, StatisticsHaveDrops) {
  Bytes out;
  pcapng::append_statistics(out, moment, {moment, moment, 10, 3, 7});
  ASSERT_EQ(out.size(), 88u);
  EXPECT_EQ(out[0], 5);
  EXPECT_EQ(Bytes(out.begin() + 44, out.begin() + 56), (Bytes{4, 0, 8, 0, 10, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(Bytes(out.begin() + 56, out.begin() + 68), (Bytes{5, 0, 8, 0, 3, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(Bytes(out.begin() + 68, out.begin() + 80), (Bytes{6, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(Pcapng, LinkTypesOfFiles) {
  EXPECT_EQ(pcapng::file_link_type(1), 1);
  EXPECT_EQ(pcapng::file_link_type(12), 101);
}

TEST(CaptureFile, IsAChainOfWholeBlocks) {
  const std::string path = testing::TempDir() + "memif-capture-test.pcapng";
  CaptureFile file(path, {1, 65535, "test", "arp"});
  constexpr std::size_t packets = 3000;  // more than the buffer holds
  for (std::size_t i = 0; i < packets; ++i) file.packet(moment, Bytes(i), i);
  file.statistics(moment, {});
  file.flush();

  std::ifstream in(path, std::ios::binary);
  const Bytes bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  EXPECT_EQ(bytes.size(), file.bytes());
  std::size_t found = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    std::uint32_t type = 0, length = 0, again = 0;
    ASSERT_LE(at + 12, bytes.size());
    std::memcpy(&type, &bytes[at], 4);
    std::memcpy(&length, &bytes[at + 4], 4);
    ASSERT_EQ(length % 4, 0u);
    ASSERT_LE(at + length, bytes.size());
    std::memcpy(&again, &bytes[at + length - 4], 4);
    ASSERT_EQ(length, again);
    found += type == 6 ? 1 : 0;
    at += length;
  }
  EXPECT_EQ(found, packets);
  std::remove(path.c_str());
}

TEST(CaptureFile, SaysWhatCannotBeWritten) {
  try {
    CaptureFile file("/nonexistent/x.pcapng", {});
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_NE(std::string(failure.what()).find("/nonexistent/x.pcapng"), std::string::npos);
  }
}

}  // namespace
}  // namespace memif::tool
