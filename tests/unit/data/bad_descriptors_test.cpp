// What a queue does about descriptors that a peer, or an application, made wrong. The peer here is the pair's other
// side, whose rings the test writes to as a hostile process would.
#include <array>
#include <gtest/gtest.h>

#include "support/pair.hpp"
#include "support/raw_ring.hpp"

namespace memif {
namespace {

using test::Pair;
using test::RawDescriptorAt;
using test::RawRing;

constexpr std::array<std::byte, 64> payload{};

// Given back earlier, they could be published again at once, and a fast peer would keep one call going forever.
TEST(BadDescriptors, AreGivenBackOnlyWhenTheCallEnds) {
  Pair pair;
  ASSERT_TRUE(pair.connect());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pair.client->tx(0).send_copy(payload));
  RawRing ring(*pair.server, false);
  ring.descriptor(0).length = ring.descriptor(1).length = 0;
  std::array<std::uint16_t, 2> tails{};
  RxQueue& rx = pair.server->rx(0);
  const RawRx::Taken taken = rx.raw().take(
      64, [&](std::size_t, std::byte*, DescriptorWord, std::uint32_t, std::size_t) { tails[0] = ring.tail(); });
  tails[1] = ring.tail();
  EXPECT_EQ(taken.packets, 1u);
  EXPECT_EQ(tails, (std::array<std::uint16_t, 2>{0, 2}));
  EXPECT_EQ(rx.raw().held(), 1u);
  EXPECT_EQ(rx.raw().release(64), 1u);
  EXPECT_EQ(ring.tail(), 3u);
}

// A ring in which everything is bad is given back whole, by calls that find no packet.
TEST(BadDescriptors, DoNotFillTheRing) {
  Pair pair({.socket = "", .ring_size = 16});
  ASSERT_TRUE(pair.connect());
  RawRing ring(*pair.server, false);
  std::array<Buffer, 4> buffers;
  for (std::uint64_t round = 0; round < 5; ++round) {
    for (int i = 0; i < 16; ++i) ASSERT_TRUE(pair.client->tx(0).send_copy(payload));
    for (std::size_t i = 0; i < ring.size(); ++i) ring.descriptor(i).region = 99;
    while (pair.server->rx(0).raw().pending()) EXPECT_TRUE(pair.server->rx(0).receive(buffers).empty());
    EXPECT_EQ(ring.tail(), ring.head());
    for (std::size_t i = 0; i < ring.size(); ++i) ring.descriptor(i).region = 1;
    EXPECT_EQ(pair.server->rx(0).counters().dropped_descriptor.get(), 16 * (round + 1));
  }
  EXPECT_TRUE(pair.server->connected());
}

TEST(BadDescriptors, BetweenPacketsThatAreHeldWaitForThem) {
  Pair pair;
  ASSERT_TRUE(pair.connect());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pair.client->tx(0).send_copy(payload));
  RawRing ring(*pair.server, false);
  ring.descriptor(1).offset = ~std::uint32_t{0};
  std::array<Buffer, 8> buffers;
  RxBurst burst = pair.server->rx(0).receive(buffers);
  EXPECT_EQ(burst.size(), 2u);
  EXPECT_EQ(ring.tail(), 0u);
  burst.release();
  EXPECT_EQ(ring.tail(), 3u);
}

// Buffers that were posted with headroom get it back when there is to be none: their descriptors never promise more
// room than the buffer has.
TEST(Headroom, ThatIsGivenUpLeavesNoDescriptorThatReachesBeyondItsBuffer) {
  Pair pair({.socket = "", .ring_size = 16});
  ASSERT_TRUE(pair.connect());
  TxQueue& tx = pair.server->tx(0);
  RxQueue& rx = pair.client->rx(0);
  RawRing ring(*pair.client, false);
  std::array<Buffer, 16> buffers;
  const std::uint32_t first = ring.descriptor(0).offset, stride = ring.descriptor(1).offset - first;
  const auto pass = [&](std::size_t packets) {
    for (std::size_t i = 0; i < packets; ++i) ASSERT_TRUE(tx.send_copy(payload));
    ASSERT_EQ(rx.receive(buffers).size(), packets);
  };
  // All buffers are posted with headroom, then some of them without.
  const auto ignore = [](std::size_t, std::byte*, DescriptorWord, std::uint32_t, std::size_t) {};
  for (const std::uint32_t headroom : {64u, 0u}) {
    const std::size_t count = headroom != 0 ? 16 : 3;
    for (std::size_t i = 0; i < count; ++i) ASSERT_TRUE(tx.send_copy(payload));
    ASSERT_EQ(rx.raw().take(count, ignore).packets, count);
    ASSERT_EQ(rx.raw().release(count, headroom), count);
  }
  for (int round = 0; round < 3; ++round) {
    pass(7);
    for (std::size_t i = 0; i < ring.size(); ++i) {
      const RawDescriptorAt& descriptor = ring.descriptor(i);
      EXPECT_LE((descriptor.offset - first) % stride + descriptor.length, 2048u) << "slot " << i;
    }
  }
}

struct Direction {
  const char* name;
  bool from_client;
};
class Sizes : public testing::TestWithParam<Direction> {};

TEST_P(Sizes, ThatNoBufferCanHaveAreRefused) {
  Pair pair;
  ASSERT_TRUE(pair.connect());
  TxQueue& tx = GetParam().from_client ? pair.client->tx(0) : pair.server->tx(0);
  std::array<Buffer, 8> buffers;
  for (const std::uint32_t size : {0u, (1u << 30), ~0u - 2047, ~0u - 2046, ~0u}) {
    EXPECT_TRUE(tx.allocate(buffers, size).empty()) << size;
    TxBurst burst = tx.begin(buffers);
    EXPECT_FALSE(burst.add(size)) << size;
    EXPECT_EQ(burst.send(), 0u);
  }
  EXPECT_TRUE(tx.send_copy(payload));
}

INSTANTIATE_TEST_SUITE_P(BothWays, Sizes, testing::Values(Direction{"ToServer", true}, Direction{"ToClient", false}),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace memif
