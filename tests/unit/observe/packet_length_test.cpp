// The length of a packet by its headers.
#include "observe/packet_length.hpp"

#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <optional>
#include <span>
#include <vector>

namespace memif {
namespace {

using detail::length_by_headers;

std::optional<std::uint32_t> length(std::vector<int> from_type, Mode mode = Mode::ethernet) {
  std::vector<std::byte> bytes(mode == Mode::ethernet ? 12 : 0);
  for (const int one : from_type) bytes.push_back(static_cast<std::byte>(one));
  if (from_type.size() > 4) bytes.resize(bytes.size() + 40);
  return length_by_headers(bytes, mode);
}

TEST(PacketLength, IsThatOfIp) {
  EXPECT_EQ(length({0x08, 0x00, 0x45, 0, 1, 2}), 14u + 0x102);
  EXPECT_EQ(length({0x86, 0xdd, 0x60, 0, 0, 0, 1, 2}), 14u + 40 + 0x102);
  EXPECT_EQ(length({0x45, 0, 1, 2, 0}, Mode::ip), 0x102u);
}

TEST(PacketLength, GoesOnBehindTags) {
  EXPECT_EQ(length({0x81, 0x00, 0, 7, 0x08, 0x00, 0x45, 0, 1, 2}), 18u + 0x102);
  EXPECT_EQ(length({0x88, 0xa8, 0, 7, 0x81, 0x00, 0, 7, 0x08, 0x06, 0}), 22u + 28);
}

TEST(PacketLength, OfOthersIsInTheFrameOrUnknown) {
  EXPECT_EQ(length({0x08, 0x06, 0, 1, 8}), 42u);
  EXPECT_EQ(length({0, 38, 0x42, 0x42, 3}), 14u + 38);
  EXPECT_EQ(length({0x88, 0xcc, 2, 7, 4}), std::nullopt);
  EXPECT_EQ(length({0x08, 0x00, 0x65, 0, 1, 2}), std::nullopt);
  EXPECT_EQ(length({0x08, 0x00, 0x45, 0, 0, 0}), std::nullopt);
  EXPECT_EQ(length({1, 2, 3}, Mode::punt_inject), std::nullopt);
}

TEST(PacketLength, NoHeadIsTooShort) {
  const std::vector<std::byte> whole(80, std::byte{0x81});
  for (std::size_t size = 0; size != whole.size(); ++size)
    for (const Mode mode : {Mode::ethernet, Mode::ip, Mode::punt_inject})
      static_cast<void>(length_by_headers(std::vector(whole.begin(), whole.begin() + static_cast<long>(size)), mode));
}

}  // namespace
}  // namespace memif
