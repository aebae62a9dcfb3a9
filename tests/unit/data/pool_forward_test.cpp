// Two client interfaces of one pool: packets go from one to the other without a copy, and no buffer is lost or doubled.
#include <array>
#include <cstddef>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "unit/data/forwarding.hpp"

namespace memif {
namespace {

using test::numbered_packet;
using test::Pair;

constexpr std::uint32_t buffer_size = test::small_buffer;
constexpr std::size_t of_a_link = 32;  // two rings of 16
constexpr std::size_t most_kept = 20;

std::shared_ptr<Pool> make_pool(std::size_t buffers, std::size_t max_kept = 0) {
  auto pool = Pool::create({.buffers = buffers, .buffer_size = buffer_size, .max_kept = max_kept});
  EXPECT_TRUE(pool);
  return *pool;
}

InterfaceConfig config_of(const std::shared_ptr<Pool>& pool, std::uint32_t headroom = 0) {
  InterfaceConfig config = test::small_link();
  config.headroom = headroom;
  config.pool = pool;
  return config;
}

// The two in the middle are the pool's.
class PoolForward : public test::Forwarding<std::uint32_t> {
 protected:
  PoolForward() : PoolForward(make_pool(3 * of_a_link, most_kept)) {}
  explicit PoolForward(const std::shared_ptr<Pool>& shared) : Forwarding(config_of(shared, GetParam())), pool(shared) {}

  const std::shared_ptr<Pool> pool;
};

TEST_P(PoolForward, PassesTheBufferItselfOn) {
  ASSERT_TRUE(send(7, 60));
  RxBurst burst = in().receive(received);
  ASSERT_EQ(burst.size(), 1u);
  const std::byte* const where = burst.buffers()[0].data();
  (*burst.begin()).bytes()[59] = std::byte{0xaa};  // what is written after receiving goes along
  ASSERT_EQ(out().forward(burst), 1u);
  (*const_cast<std::byte*>(where)) = std::byte{0x55};  // the peer has not looked yet
  const RxBurst arrived = sink().receive(drained);
  ASSERT_EQ(arrived.size(), 1u);
  EXPECT_EQ(arrived.buffers()[0].data()[0], std::byte{0x55}) << "a copy";
  EXPECT_EQ(arrived.buffers()[0].data()[59], std::byte{0xaa});
}

TEST_P(PoolForward, KeepsEveryBufferInOnePlaceOverManyRounds) {
  for (std::uint32_t number = 0; number < 2000; ++number) {
    const std::size_t size = number % 7 == 0 ? 3 * buffer_size + 11 : 60 + number % 90;
    ASSERT_TRUE(send(number, size));
    RxBurst burst = in().receive(received);
    ASSERT_EQ(out().forward(burst), 1u) << number;
    ASSERT_TRUE(burst.empty());
    burst.release();
    expect_at_sink(number, size);
  }
  EXPECT_EQ(pool->free(), of_a_link);
  EXPECT_EQ(out().counters().rejected.get(), 0u);
}

TEST_P(PoolForward, GoesBothWaysAtOnce) {
  for (std::uint32_t number = 0; number < 500; ++number) {
    ASSERT_TRUE(send(number, 100));
    ASSERT_TRUE(second.server->tx(0).send_copy(numbered_packet(number + 1, 200)));
    RxBurst there = in().receive(received);
    ASSERT_EQ(out().forward(there), 1u);
    std::array<Buffer, 32> others;
    RxBurst back = second.client->rx(0).receive(others);
    ASSERT_EQ(first.client->tx(0).forward(back), 1u);
    expect_at_sink(number, 100);
    const RxBurst burst = first.server->rx(0).receive(drained);
    ASSERT_EQ(burst.size(), 1u);
    ASSERT_EQ((*burst.begin()).size(), 200u);
  }
}

TEST_P(PoolForward, ALinkThatGoesGivesBackWhateverItHasByThen) {
  for (int round = 0; round < 5; ++round) {
    for (std::uint32_t number = 0; number < 10; ++number) {
      ASSERT_TRUE(send(number, 60));
      RxBurst burst = in().receive(received);
      ASSERT_EQ(out().forward(burst), 1u);
    }
    second.client->disconnect();
    static_cast<void>(out().up());
    static_cast<void>(second.client->rx(0).up());
    EXPECT_EQ(pool->free(), 2 * of_a_link);
    second.client->connect();
    ASSERT_TRUE(second.connect());
    EXPECT_EQ(pool->free(), of_a_link);
  }
  first.client_context.remove(*first.client);
  second.client_context.remove(*second.client);
  EXPECT_EQ(pool->free(), 3 * of_a_link);
}

// The burst is of a link that has gone meanwhile: its buffers are still there until its queue looks.
TEST_P(PoolForward, ABurstOfALinkThatHasGoneLosesNoBuffer) {
  ASSERT_TRUE(send(1, 60));
  RxBurst burst = in().receive(received);
  first.client->disconnect();
  EXPECT_EQ(out().forward(burst), 1u);
  burst.release();
  static_cast<void>(in().up());
  static_cast<void>(first.client->tx(0).up());
  EXPECT_EQ(pool->free(), 2 * of_a_link);
  expect_at_sink(1, 60);
}

TEST_P(PoolForward, KeepsPacketsToSendThemLaterInAnyOrder) {
  std::vector<KeptPacket> kept;
  for (std::uint32_t number = 0; number < 12; ++number) {
    ASSERT_TRUE(send(number, number == 5 ? 2 * buffer_size : 60 + number));
    const RxBurst burst = in().receive(received);
    ASSERT_EQ(burst.size(), 1u);
    kept.push_back(in().keep(*burst.begin()));
    ASSERT_FALSE(kept.back().empty());
    EXPECT_TRUE(in().keep(*burst.begin()).empty()) << "twice";
  }
  for (std::uint32_t number = 12; number-- != 0;) {  // others pass meanwhile
    ASSERT_TRUE(send(100, 70));
    RxBurst burst = in().receive(received);
    ASSERT_EQ(out().forward(burst), 1u);
    expect_at_sink(100, 70);
    ASSERT_TRUE(out().send(kept[number]));
    EXPECT_TRUE(kept[number].empty());
    expect_at_sink(number, number == 5 ? 2 * buffer_size : 60 + number);
  }
  EXPECT_EQ(pool->free(), of_a_link);
}

TEST_P(PoolForward, KeepsNoMoreThanThePoolAllowsAndGivesBackWhatIsDropped) {
  std::vector<KeptPacket> kept;
  const auto keep_one = [&] {
    EXPECT_TRUE(send(1, 60));
    const RxBurst burst = in().receive(received);
    return in().keep(*burst.begin());
  };
  for (std::size_t i = 0; i < most_kept; ++i) {
    kept.push_back(keep_one());
    ASSERT_FALSE(kept.back().empty()) << i;
  }
  EXPECT_TRUE(keep_one().empty());
  EXPECT_EQ(pool->free(), of_a_link - most_kept);
  kept.pop_back();
  kept.push_back(keep_one());
  EXPECT_FALSE(kept.back().empty());
  kept.front() = std::move(kept.back());
  EXPECT_EQ(pool->free(), of_a_link - most_kept + 1);
  kept.clear();
  EXPECT_EQ(pool->free(), of_a_link);
}

TEST_P(PoolForward, AKeptPacketOutlivesItsInterface) {
  ASSERT_TRUE(send(3, 60));
  KeptPacket kept;
  {
    const RxBurst burst = in().receive(received);
    kept = in().keep(*burst.begin());
  }
  first.client_context.remove(*first.client);
  ASSERT_TRUE(out().send(kept));
  expect_at_sink(3, 60);
}

TEST_P(PoolForward, AKeptPacketThatCannotBeSentStays) {
  ASSERT_TRUE(send(3, 60));
  KeptPacket kept;
  {
    const RxBurst burst = in().receive(received);
    kept = in().keep(*burst.begin());
  }
  while (out().send_copy(numbered_packet(0, 60))) {
  }
  EXPECT_FALSE(out().send(kept));
  EXPECT_EQ(out().counters().ring_full.get(), 2u);
  static_cast<void>(sink().receive(drained));
  kept.packet().buffers()[0].resize(0);
  EXPECT_FALSE(out().send(kept)) << "no bytes";
  ASSERT_FALSE(kept.empty());
  kept.give_back();
  EXPECT_TRUE(kept.empty());
  EXPECT_EQ(pool->free(), of_a_link);
}

INSTANTIATE_TEST_SUITE_P(Headroom, PoolForward, testing::Values(0u, 64u),
                         [](const auto& instance) { return instance.param == 0 ? "None" : "Some"; });

TEST(PoolLink, IsRefusedWhenThePoolHasTooFewBuffersAndComesUpWhenItHas) {
  const auto pool = make_pool(of_a_link + of_a_link / 2);
  InterfaceConfig config = config_of(pool);
  config.reconnect = std::chrono::milliseconds(10);
  Pair first(config), second(config);
  ASSERT_TRUE(first.connect());
  ASSERT_TRUE(test::poll_until({&second.server_context, &second.client_context},
                               [&] { return second.client->info().last_reason.has_value(); }));
  EXPECT_EQ(second.client->info().last_reason->code, Errc::pool_exhausted);
  EXPECT_EQ(second.client->info().last_reason->text, "the pool has 0 free buffers of 48, a ring needs 16");
  EXPECT_EQ(pool->free(), of_a_link / 2) << "what it had by then went back";
  first.client_context.remove(*first.client);
  EXPECT_TRUE(second.connect());
}

// Whatever the sink does, it never fits.
TEST(PoolLink, PassesOverWhatIsLongerThanTheRing) {
  const auto pool = make_pool(2 * of_a_link);
  InterfaceConfig smaller = config_of(pool);
  smaller.ring_size = 8;
  Pair first(config_of(pool)), second(smaller);
  ASSERT_TRUE(first.connect());
  ASSERT_TRUE(second.connect());
  for (const std::size_t size : {std::size_t{60}, std::size_t{12} * buffer_size, std::size_t{70}})
    ASSERT_TRUE(first.server->tx(0).send_copy(std::vector<std::byte>(size)));
  std::array<Buffer, 16> received, drained;
  RxBurst burst = first.client->rx(0).receive(received);
  ASSERT_EQ(burst.size(), 3u);
  std::vector<std::size_t> sizes;
  for (int round = 0; round < 3 && !burst.empty(); ++round) {
    second.client->tx(0).forward(burst);
    for (const Packet packet : second.server->rx(0).receive(drained)) sizes.push_back(packet.size());
  }
  EXPECT_TRUE(burst.empty());
  EXPECT_EQ(sizes, (std::vector<std::size_t>{60, 70}));
  EXPECT_EQ(second.client->tx(0).counters().rejected.get(), 1u);
}

TEST(PoolLink, AKeptPacketIsCopiedToAnInterfaceOfNoPool) {
  Pair first(config_of(make_pool(2 * of_a_link, 4))), second;
  ASSERT_TRUE(first.connect());
  ASSERT_TRUE(second.connect());
  std::array<Buffer, 4> received, drained;
  ASSERT_TRUE(first.server->tx(0).send_copy(std::vector<std::byte>(3 * buffer_size, std::byte{9})));
  RxBurst burst = first.client->rx(0).receive(received);
  KeptPacket kept = first.client->rx(0).keep(*burst.begin());
  ASSERT_TRUE(second.client->tx(0).send(kept));
  EXPECT_TRUE(kept.empty());
  const RxBurst arrived = second.server->rx(0).receive(drained);
  ASSERT_EQ(arrived.size(), 1u);
  EXPECT_EQ((*arrived.begin()).size(), 3u * buffer_size);
  EXPECT_TRUE(second.server->rx(0).keep(*arrived.begin()).empty()) << "no pool";
}

TEST(PoolLink, CopiesToAnInterfaceOfAnotherPool) {
  Pair first(config_of(make_pool(of_a_link))), second(config_of(make_pool(of_a_link)));
  ASSERT_TRUE(first.connect());
  ASSERT_TRUE(second.connect());
  std::array<Buffer, 4> received, drained;
  ASSERT_TRUE(first.server->tx(0).send_copy(std::vector<std::byte>(60, std::byte{9})));
  RxBurst burst = first.client->rx(0).receive(received);
  ASSERT_EQ(second.client->tx(0).forward(burst), 1u);
  std::memset(received[0].data(), 1, 60);
  const RxBurst arrived = second.server->rx(0).receive(drained);
  ASSERT_EQ(arrived.size(), 1u);
  EXPECT_EQ(arrived.buffers()[0].data()[0], std::byte{9});
}

}  // namespace
}  // namespace memif
