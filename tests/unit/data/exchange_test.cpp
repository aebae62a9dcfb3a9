// Packets between two interfaces of one process, in both directions.
#include <array>
#include <gtest/gtest.h>
#include <numeric>
#include <random>

#include "support/pair.hpp"

namespace memif {
namespace {

using test::Pair;
using namespace std::chrono_literals;

std::vector<std::byte> pattern(std::size_t size, unsigned seed) {
  std::vector<std::byte> bytes(size);
  std::minstd_rand random(seed + 1);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

std::vector<std::byte> content(const Packet& packet) {
  std::vector<std::byte> bytes(packet.size());
  packet.copy_to(bytes);
  return bytes;
}

struct Direction {
  const char* name;
  bool from_client;
};

class Exchange : public testing::TestWithParam<Direction> {
 protected:
  TxQueue& sender(Pair& pair) { return GetParam().from_client ? pair.client->tx(0) : pair.server->tx(0); }
  RxQueue& receiver(Pair& pair) { return GetParam().from_client ? pair.server->rx(0) : pair.client->rx(0); }
};

TEST_P(Exchange, DeliversOnePacket) {
  Pair pair;
  ASSERT_TRUE(pair.connect());
  const auto sent = pattern(60, 1);
  ASSERT_TRUE(sender(pair).send_copy(sent));
  std::array<Buffer, 8> buffers;
  const RxBurst burst = receiver(pair).receive(buffers);
  ASSERT_EQ(burst.size(), 1u);
  EXPECT_EQ(content(*burst.begin()), sent);
}

TEST_P(Exchange, DeliversNothingWhileTheLinkIsDown) {
  Pair pair;
  std::array<Buffer, 8> buffers;
  EXPECT_FALSE(sender(pair).send_copy(pattern(60, 1)));
  EXPECT_TRUE(receiver(pair).receive(buffers).empty());
  EXPECT_TRUE(sender(pair).allocate(buffers, 64).empty());
  EXPECT_FALSE(receiver(pair).wait(1ms));
}

TEST_P(Exchange, DeliversEveryByteWhileIndicesWrapManyTimes) {
  Pair pair({.socket = "", .ring_size = 256});
  ASSERT_TRUE(pair.connect());
  std::minstd_rand random(7);
  std::array<Buffer, 64> out, in;
  unsigned next_out = 0, next_in = 0;
  constexpr unsigned total = 300'000;
  while (next_in < total) {
    TxBurst burst = sender(pair).begin(out);
    for (unsigned n = random() % 64; n != 0 && next_out < total; --n) {
      const auto size = static_cast<std::uint32_t>(4 + random() % 200);
      if (!burst.add(size)) break;
      std::memcpy(burst.back().data(), &next_out, sizeof next_out);
      burst.back().data()[size - 1] = static_cast<std::byte>(next_out);
      if (size == 4) std::memcpy(burst.back().data(), &next_out, sizeof next_out);
      ++next_out;
    }
    const std::size_t packets = burst.size();
    ASSERT_EQ(burst.send(), packets);
    for (const Packet packet : receiver(pair).receive(std::span(in).first(1 + random() % 64))) {
      unsigned number = 0;
      std::memcpy(&number, packet.data(), sizeof number);
      if (packet.size() > 4) {
        ASSERT_EQ(packet.data()[packet.size() - 1], static_cast<std::byte>(next_in));
      }
      ASSERT_EQ(number, next_in);
      ++next_in;
    }
  }
  EXPECT_EQ(receiver(pair).counters().packets.get(), total);
  EXPECT_EQ(sender(pair).counters().packets.get(), total);
}

TEST_P(Exchange, CarriesChainsOverSmallBuffers) {
  Pair pair;
  ASSERT_TRUE(pair.connect());
  std::array<Buffer, 64> in;
  for (unsigned i = 0; i < 2000; ++i) {
    const auto sent = pattern(9000 + i % 3, i);
    ASSERT_TRUE(sender(pair).send_copy(sent)) << i;
    const RxBurst burst = receiver(pair).receive(in);
    ASSERT_EQ(burst.size(), 1u);
    ASSERT_EQ((*burst.begin()).buffers().size(), 5u);
    ASSERT_EQ(content(*burst.begin()), sent);
  }
}

TEST_P(Exchange, LeavesAChainThatDoesNotFitForTheNextBurst) {
  Pair pair;
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(sender(pair).send_copy(pattern(100, 1)));
  ASSERT_TRUE(sender(pair).send_copy(pattern(9000, 2)));
  std::array<Buffer, 5> in;
  {
    const RxBurst burst = receiver(pair).receive(in);
    ASSERT_EQ(burst.size(), 1u);
    EXPECT_EQ((*burst.begin()).size(), 100u);
  }
  EXPECT_TRUE(receiver(pair).raw().pending());
  const RxBurst burst = receiver(pair).receive(in);
  ASSERT_EQ(burst.size(), 1u);
  EXPECT_EQ(content(*burst.begin()), pattern(9000, 2));
}

TEST_P(Exchange, DropsAndCountsAChainLongerThanTheArray) {
  Pair pair;
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(sender(pair).send_copy(pattern(9000, 2)));
  ASSERT_TRUE(sender(pair).send_copy(pattern(100, 1)));
  std::array<Buffer, 4> in;
  const RxBurst burst = receiver(pair).receive(in);
  ASSERT_EQ(burst.size(), 1u);
  EXPECT_EQ((*burst.begin()).size(), 100u);
  EXPECT_EQ(receiver(pair).counters().dropped_long.get(), 1u);
}

TEST_P(Exchange, StopsAtAFullRingAndGoesOnWhenThereIsRoom) {
  Pair pair({.socket = "", .ring_size = 64});
  ASSERT_TRUE(pair.connect());
  std::array<Buffer, 128> out, in;
  TxBurst burst = sender(pair).allocate(out, 64);
  EXPECT_EQ(burst.size(), 64u);
  EXPECT_EQ(burst.send(), 64u);
  EXPECT_TRUE(sender(pair).allocate(out, 64).empty());
  EXPECT_GE(sender(pair).counters().ring_full.get(), 1u);
  EXPECT_EQ(receiver(pair).receive(in).size(), 64u);
  EXPECT_EQ(sender(pair).allocate(out, 64).size(), 64u);
}

TEST_P(Exchange, LosesNothingThatWasAllocatedAndNotSent) {
  Pair pair({.socket = "", .ring_size = 64});
  ASSERT_TRUE(pair.connect());
  std::array<Buffer, 32> out, in;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(sender(pair).allocate(out, 64).size(), 32u);
  EXPECT_TRUE(receiver(pair).receive(in).empty());
}

TEST_P(Exchange, GivesBuffersBackWhenTheLastOfSeveralBurstsEnds) {
  Pair pair({.socket = "", .ring_size = 16});
  ASSERT_TRUE(pair.connect());
  std::array<Buffer, 16> out, first_in, second_in;
  ASSERT_EQ(sender(pair).allocate(out, 64).send(), 16u);
  RxBurst first = receiver(pair).receive(std::span(first_in).first(8));
  RxBurst second = receiver(pair).receive(std::span(second_in).first(8));
  ASSERT_EQ(second.size(), 8u);
  second.release();
  EXPECT_TRUE(sender(pair).allocate(out, 64).empty());
  first.release();
  EXPECT_EQ(sender(pair).allocate(out, 64).size(), 16u);
}

TEST_P(Exchange, WaitsForAPacketInEveryMode) {
  for (const RxMode mode : {RxMode::polling, RxMode::interrupt, RxMode::adaptive}) {
    Pair pair({.socket = "", .rx_mode = mode});
    ASSERT_TRUE(pair.connect());
    EXPECT_FALSE(receiver(pair).wait(1ms));
    ASSERT_TRUE(sender(pair).send_copy(pattern(64, 1)));
    EXPECT_TRUE(receiver(pair).wait(10s));
    std::array<Buffer, 4> in;
    EXPECT_EQ(receiver(pair).receive(in).size(), 1u);
  }
}

TEST_P(Exchange, CarriesMixedSizesInOneBurst) {
  Pair pair;
  ASSERT_TRUE(pair.connect());
  std::array<Buffer, 64> out, in;
  const std::array<std::uint32_t, 5> sizes{60, 9000, 1, 2048, 2049};
  TxBurst burst = sender(pair).begin(out);
  for (const std::uint32_t size : sizes) {
    ASSERT_TRUE(burst.add(size));
    burst.back().copy_from(pattern(size, size));
  }
  ASSERT_EQ(burst.send(), sizes.size());
  const RxBurst received = receiver(pair).receive(in);
  ASSERT_EQ(received.size(), sizes.size());
  std::size_t i = 0;
  for (const Packet packet : received) {
    EXPECT_EQ(content(packet), pattern(sizes[i], sizes[i]));
    ++i;
  }
}

TEST_P(Exchange, AddsPacketsUntilTheRingIsFull) {
  Pair pair({.socket = "", .ring_size = 64});
  ASSERT_TRUE(pair.connect());
  std::array<Buffer, 100> out, in;
  TxBurst burst = sender(pair).begin(out);
  unsigned added = 0;
  for (; burst.add(8 + added % 50); ++added) std::memcpy(burst.back().data(), &added, sizeof added);
  EXPECT_EQ(added, 64u);
  EXPECT_EQ(burst.buffers().size(), 64u);
  EXPECT_EQ(sender(pair).counters().ring_full.get(), 1u);
  ASSERT_EQ(burst.send(), 64u);
  EXPECT_FALSE(burst.add(8)) << "the burst is empty, but the ring is full";
  unsigned number = 0;
  for (const Packet packet : receiver(pair).receive(in)) {
    EXPECT_EQ(packet.size(), 8 + number % 50);
    EXPECT_EQ(std::memcmp(packet.data(), &number, sizeof number), 0) << number;
    ++number;
  }
  EXPECT_EQ(number, 64u);
  EXPECT_TRUE(burst.add(8)) << "a burst can be used again";
}

TEST_P(Exchange, AddsPacketsUntilTheArrayIsFull) {
  Pair pair;
  ASSERT_TRUE(pair.connect());
  std::array<Buffer, 21> out;
  TxBurst burst = sender(pair).begin(std::span(out).first(20));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(burst.add(60)) << i;
  EXPECT_FALSE(burst.add(60));
  EXPECT_EQ(out[20].data(), nullptr);
  EXPECT_EQ(sender(pair).counters().ring_full.get(), 0u);
  EXPECT_EQ(burst.send(), 20u);
}

TEST_P(Exchange, AddsAChainToBuffersThatThePeerHasJustFreed) {
  Pair pair({.socket = "", .ring_size = 16});
  ASSERT_TRUE(pair.connect());
  std::array<Buffer, 32> out, in;
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 13; ++i) ASSERT_TRUE(sender(pair).send_copy(pattern(60, 1)));
    ASSERT_EQ(receiver(pair).receive(in).size(), 13u);
    TxBurst burst = sender(pair).begin(out);  // as far as it knows, three are free
    for (const std::uint32_t size : {60u, 9000u, 61u, 62u, 63u, 9001u}) {
      if (size == 9001u) {
        ASSERT_TRUE(burst.add(size)) << round;
        EXPECT_EQ(burst.back().buffers().size(), 5u);
        EXPECT_EQ(burst.back().size(), size);
        continue;
      }
      ASSERT_TRUE(burst.add(size)) << round << ", " << size;
      EXPECT_EQ(burst.back().size(), size);
    }
    EXPECT_EQ(burst.size(), 6u);
    EXPECT_EQ(burst.send(), 6u);
    const RxBurst received = receiver(pair).receive(in);
    ASSERT_EQ(received.size(), 6u);
    EXPECT_EQ((*received.begin()).size(), 60u);
  }
}

// What add() has looked ahead at is of the former link's memory, which is gone.
TEST_P(Exchange, AddsNothingToABurstOfAFormerLink) {
  Pair pair({.socket = "", .reconnect = 1ms});
  ASSERT_TRUE(pair.connect());
  std::array<Buffer, 32> out;
  TxBurst burst = sender(pair).begin(out);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(burst.add(60));
  const std::uint64_t before = pair.client->info().connects;
  pair.server->disconnect();
  ASSERT_TRUE(test::poll_until({&pair.server_context, &pair.client_context}, [&] {
    return pair.client->info().connects != before && pair.client->connected() && pair.server->connected();
  }));
  EXPECT_FALSE(burst.add(3000)) << "the queue has taken the new link";
  for (int i = 0; i < 8; ++i) EXPECT_FALSE(burst.add(60));
  EXPECT_EQ(burst.send(), 0u);
  EXPECT_TRUE(burst.empty());
  EXPECT_TRUE(sender(pair).send_copy(pattern(60, 1)));
}

TEST_P(Exchange, ForwardsWhatItReceives) {
  Pair pair;
  ASSERT_TRUE(pair.connect());
  RxQueue& middle_rx = receiver(pair);
  TxQueue& middle_tx = GetParam().from_client ? pair.server->tx(0) : pair.client->tx(0);
  RxQueue& back = GetParam().from_client ? pair.client->rx(0) : pair.server->rx(0);
  std::array<Buffer, 64> in, returned;
  for (unsigned i = 0; i < 5000; ++i) {
    ASSERT_TRUE(sender(pair).send_copy(pattern(60 + i % 4000, i)));
    {
      RxBurst burst = middle_rx.receive(in);
      ASSERT_EQ(middle_tx.forward(burst), 1u);
    }
    const RxBurst burst = back.receive(returned);
    ASSERT_EQ(burst.size(), 1u) << i;
    ASSERT_EQ(content(*burst.begin()), pattern(60 + i % 4000, i)) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Both, Exchange,
                         testing::Values(Direction{"ClientToServer", true}, Direction{"ServerToClient", false}),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace memif
