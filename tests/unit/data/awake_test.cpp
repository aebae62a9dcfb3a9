// Receivers that say that they stay awake, so that no send has to wait for its stores (ring.hpp, pairing C).
#include <array>
#include <atomic>
#include <gtest/gtest.h>
#include <thread>

#include "support/pair.hpp"

namespace memif {
namespace {

using test::Pair;
using namespace std::chrono_literals;

constexpr std::array<std::byte, 64> payload{};

class Awake : public testing::Test {
 protected:
  void SetUp() override {
    if (!detail::have_asymmetric_fence()) GTEST_SKIP() << "this system has no asymmetric fences";
  }
  static void connect(Pair& pair) {
    ASSERT_TRUE(pair.connect());
    pair.server->rx(0).raw().pending();  // takes the link
  }
  static bool says_awake(const Pair& pair) {
    const std::uint16_t flags = pair.server->info().rx.at(0).flags;
    return flags == (wire::ring_flag_mask_interrupt | wire::ring_flag_awake);
  }
  static void pass_one(Pair& pair) {
    std::array<Buffer, 4> buffers;
    ASSERT_TRUE(pair.client->tx(0).send_copy(payload));
    ASSERT_TRUE(pair.server->rx(0).wait(10s));
    ASSERT_EQ(pair.server->rx(0).receive(buffers).size(), 1u);
  }
};

TEST_F(Awake, APollingReceiverSaysSo) {
  Pair pair({.socket = "", .rx_mode = RxMode::polling});
  connect(pair);
  EXPECT_TRUE(says_awake(pair));
  for (int i = 0; i < 3; ++i) pass_one(pair);
  pair.server->rx(0).disarm();
  EXPECT_TRUE(says_awake(pair));
  EXPECT_EQ(pair.client->tx(0).counters().interrupts.get(), 0u);
}

TEST_F(Awake, AReceiverOnInterruptsNever) {
  Pair pair({.socket = "", .rx_mode = RxMode::interrupt});
  connect(pair);
  for (int i = 0; i < 100; ++i) {
    pass_one(pair);
    EXPECT_FALSE(says_awake(pair));
  }
}

TEST_F(Awake, AnAdaptiveReceiverWhilePacketsKeepComing) {
  Pair pair({.socket = "", .rx_mode = RxMode::adaptive, .spin = 10ms});
  connect(pair);
  EXPECT_FALSE(says_awake(pair));
  for (int i = 0; i < 100; ++i) pass_one(pair);
  EXPECT_TRUE(says_awake(pair));
  EXPECT_FALSE(pair.server->rx(0).wait(20ms));
  EXPECT_FALSE(says_awake(pair));
}

// Its application sleeps by itself, and each time would cost an asymmetric fence.
TEST_F(Awake, NoReceiverWhoseApplicationArmsIt) {
  Pair pair({.socket = "", .rx_mode = RxMode::polling});
  connect(pair);
  EXPECT_TRUE(pair.server->rx(0).arm());
  EXPECT_FALSE(says_awake(pair));
  pair.server->rx(0).disarm();
  EXPECT_FALSE(says_awake(pair));
  pair.server->rx(0).set_mode(RxMode::polling);
  pair.server->rx(0).raw().pending();
  EXPECT_TRUE(says_awake(pair));
}

TEST_F(Awake, ASenderInterruptsAReceiverThatNoLongerIs) {
  Pair pair({.socket = "", .rx_mode = RxMode::polling});
  connect(pair);
  for (int i = 0; i < 3; ++i) pass_one(pair);
  ASSERT_TRUE(pair.server->rx(0).arm());
  ASSERT_TRUE(pair.client->tx(0).send_copy(payload));
  EXPECT_EQ(pair.client->tx(0).counters().interrupts.get(), 1u);
}

// One packet is under way at a time: a wake-up that is lost leaves both sides waiting.
TEST(AwakeThreads, NoWakeUpIsLostByReceiversThatChangeTheirMinds) {
  Pair pair({.socket = "", .rx_mode = RxMode::polling, .spin = 20us});
  ASSERT_TRUE(pair.connect());
  constexpr std::uint64_t packets = 2'000;
  std::atomic<std::uint64_t> received = 0;
  std::atomic<bool> lost = false;
  std::thread sender([&] {
    for (std::uint64_t sent = 0; sent != packets && !lost;) {
      sent += pair.client->tx(0).send_copy(payload) ? 1 : 0;
      while (received != sent && !lost) std::this_thread::yield();
    }
  });
  RxQueue& rx = pair.server->rx(0);
  std::array<Buffer, 4> buffers;
  while (received != packets && !lost) {
    constexpr std::array modes{RxMode::polling, RxMode::interrupt, RxMode::adaptive, RxMode::polling};
    if (received % 3 == 0) rx.set_mode(modes[received / 3 % modes.size()]);
    if (received % 5 == 0) rx.arm();
    if (!rx.wait(60s)) lost = true;
    received += rx.receive(buffers).size();
  }
  sender.join();
  EXPECT_FALSE(lost);
}

TEST(Release, OfNothingWritesNothing) {
  Pair pair;
  ASSERT_TRUE(pair.connect());
  const InterfaceInfo info = pair.server->info();
  auto* const header = reinterpret_cast<wire::RingHeader*>(
      static_cast<std::byte*>(info.regions.at(info.rx.at(0).region).address) + info.rx.at(0).offset);
  ASSERT_TRUE(pair.server->rx(0).up());
  header->tail = 7;
  EXPECT_EQ(pair.server->rx(0).raw().release(5), 0u);
  EXPECT_EQ(header->tail, 7u);
}

}  // namespace
}  // namespace memif
