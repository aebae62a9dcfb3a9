#include "capture/reader.hpp"

#include <bit>
#include <cstdio>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/command.hpp"

namespace memif::tool {
namespace {

static_assert(std::endian::native == std::endian::little, "the captures below are little-endian");

class CaptureReaderTest : public testing::Test {
 protected:
  CaptureReaderTest() : path_(testing::TempDir() + "memif-reader-" + std::to_string(::getpid())) {}
  ~CaptureReaderTest() override { std::remove(path_.c_str()); }

  void write(const Bytes& bytes) const {
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }

  // Reads to the end; the packets before whatever is wrong. Throws Failure.
  std::size_t read(const Bytes& bytes) {
    write(bytes);
    packets_ = 0;
    CaptureReader reader(path_);
    while (const auto packet = reader.next()) {
      EXPECT_LE(packet->data.size(), packet->original_size);
      ++packets_;
    }
    return packets_;
  }

  std::string path_;
  std::size_t packets_ = 0;
};

void put32(Bytes& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

Bytes words(std::initializer_list<std::uint32_t> values) {
  Bytes out;
  for (const std::uint32_t value : values) put32(out, value);
  return out;
}

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

const Bytes pcap = words({0xa1b23c4d, 0x00040002, 0, 0, 262144, 1});
const Bytes pcap_packet = words({1'700'000'000, 5, 4, 60, 0x04030201});
const Bytes section = words({0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, 28});
const Bytes ethernet_interface = words({1, 20, 1, 0, 20});
const Bytes packet_block = words({6, 36, 0, 0, 0, 4, 60, 0x04030201, 36});

TEST_F(CaptureReaderTest, WholeCaptures) {
  EXPECT_EQ(read(pcap), 0u);
  EXPECT_EQ(read(pcap + pcap_packet + pcap_packet), 2u);
  EXPECT_EQ(read(section + ethernet_interface + ethernet_interface + packet_block), 1u);
}

TEST_F(CaptureReaderTest, TimesAreInNanoseconds) {
  write(pcap + pcap_packet);
  CaptureReader reader(path_);
  EXPECT_EQ(reader.next()->time.time_since_epoch().count(), 1'700'000'000'000'000'005);
}

// Cut anywhere, a capture is read up to there: never more, never anything else than a Failure.
TEST_F(CaptureReaderTest, TruncatedAnywhere) {
  for (const Bytes& whole : {pcap + pcap_packet + pcap_packet, section + ethernet_interface + packet_block}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      try {
        read(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
      } catch (const Failure&) {
      }
      EXPECT_LE(packets_, size / 20);
    }
  }
}

TEST_F(CaptureReaderTest, LengthsThatCannotBe) {
  const Bytes interfaces = section + ethernet_interface;
  for (const std::uint32_t length : {0u, 1u, 11u, 13u, 0x7ffffffcu, 0xfffffffcu, 0xffffffffu}) {
    EXPECT_THROW(read(words({0x0a0d0d0a, length, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, length})), Failure);
    EXPECT_THROW(read(interfaces + words({6, length, 0, 0, 0, 4, 60, 0x04030201, length})), CaptureDamaged);
  }
  for (const std::uint32_t length : {5u, 0x7fffffffu, 0xffffffffu}) {
    EXPECT_THROW(read(pcap + words({0, 0, length, length, 0x04030201})), CaptureDamaged);
    EXPECT_THROW(read(interfaces + words({6, 36, 0, 0, 0, length, length, 0x04030201, 36})), CaptureDamaged);
  }
}

TEST_F(CaptureReaderTest, APacketOfNoInterface) {
  EXPECT_THROW(read(section + words({6, 36, 7, 0, 0, 4, 60, 0x04030201, 36})), Failure);
  EXPECT_THROW(read(section + ethernet_interface + words({6, 36, 7, 0, 0, 4, 60, 0x04030201, 36})), CaptureDamaged);
}

TEST_F(CaptureReaderTest, InterfacesOfTwoLinkTypesAreRefused) {
  const Bytes ip_interface = words({1, 20, 101, 0, 20});
  EXPECT_THROW(read(section + ethernet_interface + ip_interface + packet_block), Failure);
}

TEST_F(CaptureReaderTest, NoCapture) {
  EXPECT_THROW(read({}), Failure);
  EXPECT_THROW(read(Bytes(100, 'x')), Failure);
  EXPECT_THROW(CaptureReader{"/nonexistent/x.pcap"}, Failure);
  EXPECT_THROW(CaptureReader{testing::TempDir()}, Failure);
}

TEST_F(CaptureReaderTest, ModeByLinkType) {
  const auto with_type = [](std::uint32_t type) { return words({0xa1b23c4d, 0x00040002, 0, 0, 262144, type}); };
  const auto mode = [&](std::uint32_t type) {
    write(with_type(type));
    return CaptureReader(path_).mode();
  };
  EXPECT_EQ(mode(1), Mode::ethernet);
  for (const std::uint32_t type : {101u, 228u, 229u}) EXPECT_EQ(mode(type), Mode::ip);
  EXPECT_EQ(mode(147), Mode::punt_inject);
  EXPECT_THROW(mode(105), UsageError);
}

}  // namespace
}  // namespace memif::tool
