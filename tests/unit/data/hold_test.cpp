// Packets that are sent in parts: TxQueue::hold().
#include <array>
#include <gtest/gtest.h>

#include "support/pair.hpp"
#include "support/raw_ring.hpp"

namespace memif {
namespace {

using test::Pair;
using test::RawRing;

struct Direction {
  const char* name;
  bool from_client;
};

struct Parts {
  std::array<DescriptorWord, 16> extents{};
};
struct Source {
  const Parts* parts;
  DescriptorWord word(std::size_t i) const { return parts->extents[i]; }
};

class Hold : public testing::TestWithParam<Direction> {
 protected:
  void SetUp() override { ASSERT_TRUE(pair.connect()); }
  Interface& own() { return GetParam().from_client ? *pair.client : *pair.server; }
  Interface& peer() { return GetParam().from_client ? *pair.server : *pair.client; }
  TxQueue& tx() { return own().tx(0); }
  RxQueue& rx() { return peer().rx(0); }
  // Shows that many buffers beyond the next to be sent.
  std::size_t reserve(std::size_t count, std::uint32_t size = 2048, std::size_t after = 0) {
    return tx().raw().peek(count, size, count, after,
                           [](std::size_t, std::byte*, DescriptorWord, std::uint32_t, std::size_t) {});
  }
  Source parts(std::initializer_list<DescriptorWord> extents) {
    std::copy(extents.begin(), extents.end(), parts_.extents.begin());
    return {&parts_};
  }

  Pair pair{{.socket = "", .ring_size = 16, .reconnect = std::chrono::milliseconds(10)}};
  Parts parts_;
  std::array<Buffer, 16> buffers;
};

constexpr DescriptorWord part(std::uint32_t length) { return DescriptorWord::of(length, true); }

TEST_P(Hold, PublishesNothingBeforeTheEnd) {
  ASSERT_EQ(reserve(4), 4u);
  EXPECT_TRUE(tx().raw().hold(2, parts({part(10), part(20)})));
  EXPECT_TRUE(tx().raw().hold(1, parts({part(30)})));
  EXPECT_EQ(tx().raw().held(), 3u);
  EXPECT_FALSE(rx().raw().pending());
  EXPECT_EQ(tx().raw().publish(1, parts({DescriptorWord::of(40)})).packets, 1u);
  EXPECT_EQ(tx().raw().held(), 0u);
  const RxBurst burst = rx().receive(buffers);
  ASSERT_EQ(burst.size(), 1u);
  EXPECT_EQ((*burst.begin()).size(), 100u);
  EXPECT_EQ((*burst.begin()).buffers().size(), 4u);
  EXPECT_EQ(tx().counters().packets.get(), 1u);
  EXPECT_EQ(tx().counters().bytes.get(), 100u);
}

// The slots that are held are nobody else's, also when the peer has posted or freed all others.
TEST_P(Hold, KeepsItsSlots) {
  ASSERT_EQ(reserve(3), 3u);
  EXPECT_TRUE(tx().raw().hold(3, parts({part(10), part(20), part(30)})));
  EXPECT_EQ(tx().room(), 13u);
  EXPECT_EQ(reserve(16), 13u);
  RawRing ring(own(), true);
  EXPECT_EQ(GetParam().from_client ? ring.head() : ring.tail(), 0u);
}

// A buffer that cannot be used is given back from the front of the ring: that is not where it is now.
class HoldOfServer : public Hold {};

TEST_P(HoldOfServer, IsNotPublishedByBuffersThatGoBack) {
  ASSERT_EQ(reserve(1), 1u);
  EXPECT_TRUE(tx().raw().hold(1, parts({part(10)})));
  RawRing ring(own(), true);
  ring.descriptor(1).region = 99;
  EXPECT_EQ(reserve(1), 0u);
  EXPECT_EQ(ring.tail(), 0u);
  EXPECT_FALSE(rx().raw().pending());
  ring.descriptor(1).region = ring.descriptor(2).region;
  EXPECT_EQ(reserve(1), 1u);
  EXPECT_EQ(tx().raw().publish(1, parts({DescriptorWord::of(20)})).packets, 1u);
  EXPECT_EQ(rx().receive(buffers).size(), 1u);
}

TEST_P(Hold, IsGivenUpWhenNoSlotIsLeftForTheEnd) {
  for (int round = 0; round < 20; ++round) {
    const std::uint64_t rejected = tx().counters().rejected.get();
    ASSERT_EQ(reserve(16), 16u);
    for (int i = 0; i < 15; ++i) ASSERT_TRUE(tx().raw().hold(1, parts({part(100)})));
    EXPECT_FALSE(tx().raw().hold(1, parts({part(100)})));
    EXPECT_EQ(tx().raw().held(), 0u);
    EXPECT_EQ(tx().counters().rejected.get(), rejected + 1);
    EXPECT_FALSE(rx().raw().pending());
    // And all is as before: the buffers have all their room, and no descriptor says that a packet goes on.
    ASSERT_EQ(reserve(16), 16u);
    TxBurst burst = tx().allocate(buffers, 2048, static_cast<std::size_t>(round % 3 + 1));
    const std::size_t sent = burst.size();
    EXPECT_EQ(burst.send(), sent);
    EXPECT_EQ(rx().receive(buffers).size(), sent);
  }
}

// What publish() wrote of a packet without its end is taken back whole: a server's posted buffers keep their room.
TEST_P(Hold, LeavesNoTraceOfWhatWasNotPublished) {
  ASSERT_EQ(reserve(16), 16u);
  EXPECT_EQ(tx().raw().publish(3, parts({DescriptorWord::of(10), part(20), part(30)})).packets, 1u);
  EXPECT_EQ(rx().receive(buffers).size(), 1u);
  EXPECT_FALSE(tx().raw().hold(2, parts({part(20), part(0)})));
  EXPECT_EQ(reserve(16), 16u);
}

TEST_P(Hold, GoesWithItsLinkAndTheQueueIsDownForACall) {
  ASSERT_EQ(reserve(2), 2u);
  EXPECT_TRUE(tx().raw().hold(1, parts({part(10)})));
  const std::uint64_t ended = own().info().disconnects;
  peer().disconnect("for the test");
  ASSERT_TRUE(
      test::poll_until({&pair.server_context, &pair.client_context}, [&] { return own().info().disconnects > ended; }));
  ASSERT_TRUE(pair.connect());
  EXPECT_FALSE(tx().up());
  EXPECT_TRUE(tx().up());
  EXPECT_EQ(tx().raw().held(), 0u);
  EXPECT_EQ(tx().counters().rejected.get(), 1u);
  EXPECT_EQ(reserve(16), 16u);
  EXPECT_FALSE(rx().raw().pending());
}

// A peer that says that it has taken what it was not given, or posted more than there are slots.
TEST_P(Hold, CountsInTheRangeOfThePeersIndex) {
  ASSERT_EQ(reserve(4), 4u);
  EXPECT_TRUE(tx().raw().hold(4, parts({part(1), part(1), part(1), part(1)})));
  RawRing ring(own(), true);
  ring.set_index(!GetParam().from_client, static_cast<std::uint16_t>(GetParam().from_client ? 2 : 18));
  EXPECT_EQ(tx().room(), 12u);
  EXPECT_FALSE(tx().up());
}

INSTANTIATE_TEST_SUITE_P(OneWay, HoldOfServer, testing::Values(Direction{"FromServer", false}),
                         [](const auto& tested) { return tested.param.name; });
INSTANTIATE_TEST_SUITE_P(BothWays, Hold, testing::Values(Direction{"FromClient", true}, Direction{"FromServer", false}),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace memif
