// Packets of several buffers: rx_chains.hpp, in both roles. The peer is the pair's other side, whose descriptors the
// test changes as a hostile process would.
#include <array>
#include <gtest/gtest.h>
#include <numeric>
#include <vector>

#include "support/pair.hpp"
#include "support/raw_ring.hpp"

namespace memif {
namespace {

using test::Pair;
using test::RawRing;
using Sizes = std::vector<std::size_t>;
using Policy = RawRx::LongPackets;

constexpr std::size_t ring_size = 16, part = 64;
constexpr auto ignore = [](std::size_t, std::byte*, DescriptorWord, std::uint32_t, std::size_t) {};

struct Direction {
  const char* name;
  bool from_client;
};

class RxChains : public testing::TestWithParam<Direction> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(pair.connect());
    ring.emplace(receiver(), false);
    before = given_back();
  }
  Interface& receiver() { return GetParam().from_client ? *pair.server : *pair.client; }
  Interface& sender() { return GetParam().from_client ? *pair.client : *pair.server; }
  RxQueue& rx() { return receiver().rx(0); }
  const RxCounters& counters() { return rx().counters(); }

  // One packet of `parts` buffers, the last of them with one byte.
  void send(std::size_t parts) {
    const std::size_t size = (parts - 1) * part + 1;
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = std::byte(i / part + i);
    ASSERT_TRUE(sender().tx(0).send_copy(bytes));
  }
  // The sizes of what is received, in at most `most` buffers. What comes is what was sent.
  Sizes receive(std::size_t most = ring_size) {
    Sizes sizes;
    for (const Packet packet : rx().receive(std::span(buffers).first(most))) {
      std::vector<std::byte> bytes(packet.size());
      packet.copy_to(bytes);
      for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(bytes[i], std::byte(i / part + i)) << i;
      sizes.push_back(bytes.size());
    }
    return sizes;
  }
  // Slots that the receiver has given back, as the peer sees it.
  std::uint16_t given_back() const { return GetParam().from_client ? ring->tail() : ring->head(); }
  std::size_t given_back_since() const { return static_cast<std::uint16_t>(given_back() - before); }

  Pair pair{{.socket = "", .ring_size = ring_size, .buffer_size = part}};
  std::optional<RawRing> ring;
  std::uint16_t before = 0;
  std::array<Buffer, ring_size> buffers;
};

TEST_P(RxChains, AreOnePacketEach) {
  std::size_t packets = 0, bytes = 0, slots = 0;
  for (const std::size_t parts : {1u, 2u, 3u, 4u, 16u, 15u, 1u}) {
    ASSERT_NO_FATAL_FAILURE(send(parts));
    const std::size_t size = (parts - 1) * part + 1;
    EXPECT_EQ(receive(), Sizes{size});
    EXPECT_EQ(counters().packets.get(), ++packets);
    EXPECT_EQ(counters().bytes.get(), bytes += size);
    EXPECT_EQ(given_back_since(), slots += parts);
  }
  EXPECT_EQ(drops(counters()), 0u);
}

// Whichever part it is, and wherever in the ring the packet lies: the packet is lost, and nothing else.
TEST_P(RxChains, WithAnEmptyPartAreDroppedWholeAndCountedOnce) {
  std::size_t packets = 0, slots = 0, dropped = 0;
  for (std::size_t parts = 1; parts <= 5; ++parts) {
    for (std::size_t empty = 0; empty < parts; ++empty) {
      SCOPED_TRACE(std::to_string(empty) + " of " + std::to_string(parts));
      for (const std::size_t each : {std::size_t{2}, parts, std::size_t{1}}) ASSERT_NO_FATAL_FAILURE(send(each));
      ring->descriptor(slots + 2 + empty).length = 0;
      EXPECT_EQ(receive(), (Sizes{part + 1, 1}));
      EXPECT_EQ(counters().packets.get(), packets += 2);
      EXPECT_EQ(counters().dropped_descriptor.get(), ++dropped);
      EXPECT_EQ(drops(counters()), dropped);
      EXPECT_EQ(given_back_since(), slots += 2 + parts + 1);
      EXPECT_EQ(rx().raw().held(), 0u);
    }
  }
  EXPECT_TRUE(receiver().connected());
}

TEST_P(RxChains, LongerThanTheArrayAreDroppedAndCountedAsThat) {
  for (const std::size_t parts : {1u, 4u, 3u}) ASSERT_NO_FATAL_FAILURE(send(parts));
  EXPECT_EQ(receive(3), Sizes{1}) << "the second has the whole array next time";
  EXPECT_EQ(receive(3), Sizes{2 * part + 1});
  EXPECT_EQ(counters().dropped_long.get(), 1u);
  EXPECT_EQ(drops(counters()), 1u);
  EXPECT_EQ(given_back_since(), 8u);
}

TEST_P(RxChains, ComeInPiecesWhereThatIsWanted) {
  ASSERT_NO_FATAL_FAILURE(send(5));
  ASSERT_NO_FATAL_FAILURE(send(2));
  std::vector<std::size_t> taken;
  while (const std::size_t n = rx().raw().take(2, ignore, Policy::split).buffers) taken.push_back(n);
  EXPECT_EQ(taken, (std::vector<std::size_t>{2, 2, 1, 2}));
  EXPECT_EQ(counters().bytes.get(), 4 * part + 1 + part + 1);
  EXPECT_EQ(drops(counters()), 0u);
}

// Of a packet whose end is not published nothing is taken; those before it are.
TEST_P(RxChains, AreTakenWhenTheirEndIsThere) {
  ASSERT_NO_FATAL_FAILURE(send(2));
  ASSERT_NO_FATAL_FAILURE(send(3));
  const bool head = GetParam().from_client;
  const std::uint16_t end = head ? ring->head() : ring->tail();
  ring->set_index(head, static_cast<std::uint16_t>(end - 1));
  EXPECT_EQ(receive(), Sizes{part + 1});
  EXPECT_EQ(receive(), Sizes{});
  EXPECT_EQ(given_back_since(), 2u);
  ring->set_index(head, end);
  EXPECT_EQ(receive(), Sizes{2 * part + 1});
  EXPECT_EQ(given_back_since(), 5u);
}

INSTANTIATE_TEST_SUITE_P(BothWays, RxChains, testing::Values(Direction{"ToServer", true}, Direction{"ToClient", false}),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace memif
