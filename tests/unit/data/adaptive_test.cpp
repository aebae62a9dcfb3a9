// How an adaptive receiver divides its waits between spinning and sleeping.
#include <array>
#include <atomic>
#include <gtest/gtest.h>
#include <thread>

#include "support/pair.hpp"

namespace memif {
namespace {

using test::Pair;
using namespace std::chrono_literals;

constexpr std::chrono::milliseconds longest_spin = 20ms;

class AdaptiveThreads : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(pair.connect()); }

  RxQueue& rx() { return pair.server->rx(0); }
  std::uint64_t sleeps() { return rx().counters().sleeps.get(); }

  // Whether a wait in vain, for half of the longest spin, spins to its end.
  bool spins() {
    const std::uint64_t before = sleeps();
    EXPECT_FALSE(rx().wait(longest_spin / 2));
    return sleeps() == before;
  }
  void wait_in_vain_until_it_sleeps() {
    for (int i = 0; i < 10; ++i) EXPECT_FALSE(rx().wait(longest_spin * 5 / 4));  // each halves the next one's spin
  }

  Pair pair{{.socket = "", .rx_mode = RxMode::adaptive, .spin = longest_spin}};
};

// A thread that another one keeps from its processor for longer than the longest spin sleeps, rightly: hence the tries.
TEST(AdaptiveThreadsAlone, SpinsAtFirst) {
  bool spun = false;
  for (int i = 0; i < 50 && !spun; ++i) {
    Pair fresh({.socket = "", .rx_mode = RxMode::adaptive, .spin = longest_spin});
    ASSERT_TRUE(fresh.connect());
    EXPECT_FALSE(fresh.server->rx(0).wait(longest_spin / 2));
    spun = fresh.server->rx(0).counters().sleeps.get() == 0;
  }
  EXPECT_TRUE(spun);
}

TEST_F(AdaptiveThreads, SleepsAtOnceAfterWaitsThatNoSpinWouldHaveEnded) {
  wait_in_vain_until_it_sleeps();
  EXPECT_FALSE(spins());
}

TEST_F(AdaptiveThreads, SpinsAgainWhenPacketsComeSoon) {
  wait_in_vain_until_it_sleeps();
  ASSERT_FALSE(spins());
  std::atomic<bool> stop = false;
  std::thread sender([&, seen = sleeps()]() mutable {  // sends a packet for each sleep from now on
    const std::array<std::byte, 64> packet{};
    for (; !stop; std::this_thread::yield())
      if (const std::uint64_t now = sleeps(); now != seen && pair.client->tx(0).send_copy(packet)) seen = now;
  });
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  bool spun = false;
  std::array<Buffer, 64> buffers;
  while (!spun && std::chrono::steady_clock::now() < deadline) {
    ASSERT_TRUE(rx().wait(10s));
    while (!rx().receive(buffers).empty()) {
    }
    const std::uint64_t before = sleeps();
    spun = !rx().wait(longest_spin / 2) && sleeps() == before;
  }
  stop = true;
  sender.join();
  EXPECT_TRUE(spun);
}

}  // namespace
}  // namespace memif
