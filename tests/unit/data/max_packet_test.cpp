// Packets longer than an interface takes are dropped and counted as that, in both roles, in one buffer and in chains.
#include <array>
#include <gtest/gtest.h>
#include <vector>

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

class MaxPacket : public testing::TestWithParam<Direction> {
 protected:
  void connect(std::uint32_t max_packet) {
    pair.emplace(InterfaceConfig{.socket = "", .ring_size = 64, .max_packet = max_packet});
    ASSERT_TRUE(pair->connect());
  }
  TxQueue& tx() { return GetParam().from_client ? pair->client->tx(0) : pair->server->tx(0); }
  RxQueue& rx() { return GetParam().from_client ? pair->server->rx(0) : pair->client->rx(0); }
  const RxCounters& counters() { return rx().counters(); }
  bool connected() { return GetParam().from_client ? pair->server->connected() : pair->client->connected(); }

  void send(std::size_t size) { ASSERT_TRUE(tx().send_copy(std::vector<std::byte>(size))); }
  std::vector<std::size_t> receive(std::size_t most = 64) {
    std::vector<std::size_t> sizes;
    for (const Packet packet : rx().receive(std::span(buffers).first(most))) sizes.push_back(packet.size());
    return sizes;
  }

  std::optional<Pair> pair;
  std::array<Buffer, 64> buffers;
};

TEST_P(MaxPacket, IsTheLastThatIsTakenInOneBuffer) {
  connect(1500);
  for (const std::size_t size : {60u, 1500u, 1501u, 2048u, 1499u}) send(size);
  EXPECT_EQ(receive(), (std::vector<std::size_t>{60, 1500, 1499}));
  EXPECT_EQ(counters().dropped_oversize.get(), 2u);
  EXPECT_EQ(counters().dropped_descriptor.get() + counters().dropped_long.get(), 0u);
  EXPECT_EQ(counters().bytes.get(), 60u + 1500 + 1499);
}

TEST_P(MaxPacket, IsTheLastThatIsTakenAsAChain) {
  connect(9000);
  for (const std::size_t size : {9000u, 9001u, 20000u, 60u}) send(size);
  EXPECT_EQ(receive(), (std::vector<std::size_t>{9000, 60}));
  EXPECT_EQ(counters().dropped_oversize.get(), 2u);
  EXPECT_EQ(rx().raw().held(), 0u);
}

// It is none to be tried again with the whole array.
TEST_P(MaxPacket, IsTheReasonWhereTheArrayIsTooShortAsWell) {
  connect(3000);
  send(60);
  send(20000);
  send(61);
  EXPECT_EQ(receive(4), (std::vector<std::size_t>{60, 61}));
  EXPECT_EQ(counters().dropped_oversize.get(), 1u);
  EXPECT_EQ(counters().dropped_long.get(), 0u);
}

TEST_P(MaxPacket, GivesTheSlotsOfDroppedPacketsBack) {
  connect(1000);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 32; ++i) send(2000);
    EXPECT_EQ(receive(), std::vector<std::size_t>());
  }
  EXPECT_EQ(counters().dropped_oversize.get(), 320u);
  send(1000);
  EXPECT_EQ(receive(), std::vector<std::size_t>{1000});
}

using Policy = RawRx::LongPackets;
constexpr auto ignore = [](std::size_t, std::byte*, DescriptorWord, std::uint32_t, std::size_t) {};

// As long as none of it was handed out, it is dropped whole, also where long packets come in pieces.
TEST_P(MaxPacket, DropsAPacketWholeWhoseFirstPieceIsTooLong) {
  connect(6000);
  send(30000);
  send(60);
  const RawRx::Taken taken = rx().raw().take(4, ignore, Policy::split);
  EXPECT_EQ(taken.buffers, 1u);
  EXPECT_EQ(counters().dropped_oversize.get(), 1u);
  EXPECT_TRUE(connected());
}

// After that, its pieces cannot be taken back.
TEST_P(MaxPacket, EndsTheLinkWhereAPacketInPiecesGoesBeyond) {
  connect(6000);
  send(30000);
  EXPECT_EQ(rx().raw().take(2, ignore, Policy::split).buffers, 2u);
  EXPECT_EQ(rx().raw().take(2, ignore, Policy::split).buffers, 0u);
  EXPECT_TRUE(test::poll_until({&pair->server_context, &pair->client_context}, [this] {
    const Interface& own = GetParam().from_client ? *pair->server : *pair->client;
    return own.info().last_reason && own.info().last_reason->code == make_error_code(Errc::broken_ring);
  }));
}

// Each by itself: the last piece, in one buffer, ends its packet, so that the next begins anew.
TEST_P(MaxPacket, IsCountedForEachPacketInPieces) {
  connect(6000);
  for (int i = 0; i < 8; ++i) {
    send(6000);
    send(2048);
  }
  std::size_t buffers_taken = 0;
  while (const std::size_t n = rx().raw().take(1, ignore, Policy::split).buffers) buffers_taken += n;
  EXPECT_EQ(buffers_taken, 8u * 4);
  EXPECT_TRUE(rx().up());
  EXPECT_EQ(counters().bytes.get(), 8u * 8048);
  EXPECT_EQ(counters().dropped_oversize.get(), 0u);
}

INSTANTIATE_TEST_SUITE_P(BothWays, MaxPacket,
                         testing::Values(Direction{"ToServer", true}, Direction{"ToClient", false}),
                         [](const auto& tested) { return tested.param.name; });

// Descriptors that all name one buffer: 63 MiB in a ring of 64. Nothing copies that.
TEST(MaxPacketByDefault, IsAMebibyte) {
  Pair pair({.socket = "", .ring_size = 64, .buffer_size = 1 << 20});
  ASSERT_TRUE(pair.connect());
  EXPECT_EQ(pair.server->config().max_packet, 1u << 20);
  ASSERT_TRUE(pair.client->tx(0).send_copy(std::vector<std::byte>(1 << 20)));
  std::array<Buffer, 64> buffers;
  EXPECT_EQ(pair.server->rx(0).receive(buffers).size(), 1u);
  ASSERT_TRUE(pair.client->tx(0).send_copy(std::vector<std::byte>(std::size_t{63} << 20)));
  EXPECT_EQ(pair.server->rx(0).receive(buffers).size(), 0u);
  EXPECT_EQ(pair.server->rx(0).counters().dropped_oversize.get(), 1u);
}

// A bad part costs the whole packet, also where it comes in pieces: no tail is handed out for a packet.
TEST(BadDescriptors, InALongPacketCostAllOfIt) {
  Pair pair({.socket = "", .ring_size = 64});
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.client->tx(0).send_copy(std::vector<std::byte>(12000)));
  ASSERT_TRUE(pair.client->tx(0).send_copy(std::vector<std::byte>(60)));
  RawRing(*pair.server, false).descriptor(1).region = 99;
  EXPECT_EQ(pair.server->rx(0).raw().take(3, ignore, Policy::split).buffers, 1u);
  EXPECT_EQ(pair.server->rx(0).counters().dropped_descriptor.get(), 1u);
  EXPECT_EQ(pair.server->rx(0).counters().bytes.get(), 60u);
}

// 65 bursts of 64 MiB are more bytes than 32 bits count. Nothing touches them.
TEST(ByteCounters, GoOnBeyond32Bits) {
  Pair pair({.socket = "", .ring_size = 64, .buffer_size = 1 << 20});
  ASSERT_TRUE(pair.connect());
  std::array<Buffer, 64> buffers;
  const auto pass = [&](TxQueue& tx, RxQueue& rx) {
    TxBurst burst = tx.allocate(buffers, 1 << 20);
    const std::size_t sent = burst.send();
    return sent == 64 && rx.receive(buffers).size() == sent;
  };
  constexpr std::uint64_t all = std::uint64_t{65} * 64 << 20;
  for (int i = 0; i < 65; ++i) ASSERT_TRUE(pass(pair.server->tx(0), pair.client->rx(0)));
  EXPECT_EQ(pair.server->tx(0).counters().bytes.get(), all);
  EXPECT_EQ(pair.client->rx(0).counters().bytes.get(), all);
  for (int i = 0; i < 65; ++i) ASSERT_TRUE(pass(pair.client->tx(0), pair.server->rx(0)));
  EXPECT_EQ(pair.client->tx(0).counters().bytes.get(), all);
  EXPECT_EQ(pair.server->rx(0).counters().bytes.get(), all);
}

// As long packets as can be set, all of one burst, are summed up in 64 bits as well.
TEST(ByteCounters, TakeABurstOfMoreThan32Bits) {
  Pair pair({.socket = "", .ring_size = 64, .buffer_size = 1 << 20, .max_packet = 1u << 28});
  ASSERT_TRUE(pair.connect());
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(pair.client->tx(0).send_copy(std::vector<std::byte>(1)));
  RawRing ring(*pair.server, false);
  for (std::size_t i = 0; i < ring.size(); ++i) {  // each is nearly all memory from the first on
    ring.descriptor(i).offset = ring.descriptor(0).offset;
    ring.descriptor(i).length = 65u << 20;
  }
  std::array<Buffer, 64> buffers;
  EXPECT_EQ(pair.server->rx(0).receive(buffers).size(), 64u);
  EXPECT_EQ(pair.server->rx(0).counters().bytes.get(), std::uint64_t{64} * 65 << 20);
}

// However long the buffers that the peer posted are, as much of them is used as a buffer of our own may have.
TEST(TxQueueOfAServer, UsesOnlyTheBeginningOfHugePostedBuffers) {
  Pair pair({.socket = "", .ring_size = 64, .buffer_size = 1 << 20});
  ASSERT_TRUE(pair.connect());
  TxQueue& tx = pair.server->tx(0);
  std::array<Buffer, 64> buffers;
  RawRing ring(*pair.server, true);
  for (std::size_t i = 0; i < ring.size(); ++i) {  // each is all memory from the first on
    ring.descriptor(i).offset = ring.descriptor(0).offset;
    ring.descriptor(i).length = 64u << 20;
  }
  const TxBurst burst = tx.allocate(buffers, 1 << 20);
  ASSERT_EQ(burst.size(), 64u);
  for (const Buffer& buffer : burst.buffers()) EXPECT_EQ(buffer.capacity(), 1u << 20);
  struct Claim {
    DescriptorWord word(std::size_t) const { return DescriptorWord::of(64u << 20); }
  };
  EXPECT_EQ(tx.raw().publish(64, Claim{}).buffers, 0u);
}

}  // namespace
}  // namespace memif
