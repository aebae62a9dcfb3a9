// What ends a wait on a queue when no packet comes: wake(), and for transmit queues free slots.
#include <array>
#include <atomic>
#include <csignal>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <thread>

#include "support/confined.hpp"
#include "support/pair.hpp"

namespace memif {
namespace {

using test::Pair;
using namespace std::chrono_literals;

constexpr std::array<std::byte, 60> packet{};
constexpr auto forever = -1ns;

class Wake : public testing::TestWithParam<RxMode> {
 protected:
  void SetUp() override { ASSERT_TRUE(pair.connect()); }
  void fill(TxQueue& tx) {
    while (tx.send_copy(packet)) {
    }
  }
  // The server takes `packets` of what the client sent.
  void take(std::size_t packets) {
    std::array<Buffer, 8> buffers;
    ASSERT_EQ(pair.server->rx(0).receive(std::span(buffers).first(packets)).size(), packets);
  }

  Pair pair{{.socket = "", .ring_size = 8, .rx_mode = GetParam(), .spin = 20us, .reconnect = 0ms}};
};

TEST_P(Wake, EndsTheNextWaitOnce) {
  RxQueue& rx = pair.server->rx(0);
  rx.wake();
  rx.wake();
  EXPECT_FALSE(rx.wait(forever));
  const auto start = Clock::now();
  EXPECT_FALSE(rx.wait(5ms));
  EXPECT_GE(Clock::now() - start, 5ms);
}

TEST_P(Wake, IsKeptByAWaitThatHasPackets) {
  RxQueue& rx = pair.server->rx(0);
  rx.wake();
  ASSERT_TRUE(pair.client->tx(0).send_copy(packet));
  EXPECT_TRUE(rx.wait(forever));
  take(1);
  EXPECT_FALSE(rx.wait(forever));
}

TEST_P(Wake, MakesTheDescriptorReadableUntilDisarmed) {
  RxQueue& rx = pair.server->rx(0);
  pollfd entry{.fd = rx.event_fd(), .events = POLLIN, .revents = 0};
  rx.disarm();
  ASSERT_EQ(::poll(&entry, 1, 0), 0);
  rx.wake();
  EXPECT_EQ(::poll(&entry, 1, 0), 1);
  rx.disarm();
  EXPECT_EQ(::poll(&entry, 1, 0), 0);
  EXPECT_FALSE(rx.wait(0ns));
}

TEST_P(Wake, OfASenderEndsTheNextWaitOnce) {
  TxQueue& tx = pair.client->tx(0);
  fill(tx);
  tx.wake();
  EXPECT_FALSE(tx.wait(1, forever));
  EXPECT_FALSE(tx.wait(1, 1ms));
}

TEST_P(Wake, RoomIsFoundWithoutAWait) {
  TxQueue& tx = pair.client->tx(0);
  EXPECT_TRUE(tx.wait(0, 0ns));
  EXPECT_TRUE(tx.wait(8, 0ns));
  EXPECT_TRUE(tx.wait(9, 0ns)) << "more than the ring has means all";
  fill(tx);
  EXPECT_FALSE(tx.wait(1, 0ns));
  take(3);
  EXPECT_TRUE(tx.wait(3, 0ns));
  EXPECT_FALSE(tx.wait(4, 0ns));
  EXPECT_FALSE(tx.wait(4, 2ms));
}

TEST_P(Wake, ASenderHasNoRoomOnceItsLinkHasGone) {
  TxQueue& tx = pair.client->tx(0);
  fill(tx);
  pair.server->disconnect("for the test");
  ASSERT_TRUE(
      test::poll_until({&pair.server_context, &pair.client_context}, [&] { return !pair.client->connected(); }));
  EXPECT_FALSE(tx.wait(1, 2ms));
  EXPECT_FALSE(tx.wait(0, 0ns)) << "no slot at all, but no link either";
}

class WakeThreads : public Wake {};

TEST_P(WakeThreads, EndsAWaitThatGoesOn) {
  RxQueue& rx = pair.server->rx(0);
  std::atomic<int> waits{0};
  std::thread waiting([&] {
    for (; waits != 20; ++waits) EXPECT_FALSE(rx.wait(forever));
  });
  for (int before = 0; before != 20; before = waits) {
    rx.wake();
    while (waits == before) std::this_thread::yield();
  }
  waiting.join();
}

TEST_P(WakeThreads, EndsAWaitWithoutALink) {
  Pair apart({.socket = "", .rx_mode = GetParam()});
  RxQueue& rx = apart.server->rx(0);
  TxQueue& tx = apart.server->tx(0);
  std::atomic<int> waits{0};
  std::thread waiting([&] {
    EXPECT_FALSE(rx.wait(forever));
    waits = 1;
    EXPECT_FALSE(tx.wait(1, forever));
    waits = 2;
  });
  std::this_thread::yield();
  rx.wake();
  while (waits != 1) std::this_thread::yield();
  tx.wake();
  waiting.join();
}

// The handler runs on the thread that waits, or on any other.
TEST_P(WakeThreads, IsForSignalHandlers) {
  static std::atomic<RxQueue*> queue;
  static std::atomic<int> handled;
  queue = &pair.server->rx(0);
  handled = 0;
  struct sigaction act {};
  struct sigaction before {};
  act.sa_handler = [](int) {
    queue.load()->wake();
    ++handled;
  };
  ASSERT_EQ(::sigaction(SIGUSR1, &act, &before), 0);
  std::atomic<bool> done{false};
  std::thread waiting([&] {
    EXPECT_FALSE(queue.load()->wait(forever));
    done = true;
  });
  while (!done) {
    ::pthread_kill(waiting.native_handle(), SIGUSR1);
    std::this_thread::yield();
  }
  waiting.join();
  EXPECT_GE(handled, 1);
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_P(WakeThreads, ASenderWaitsForThePeerToTakeSome) {
  TxQueue& tx = pair.client->tx(0);
  fill(tx);
  std::atomic<bool> room{false};
  std::thread waiting([&] {
    EXPECT_TRUE(tx.wait(3, forever));
    room = true;
  });
  take(2);
  EXPECT_FALSE(room) << "two are not three";
  take(1);
  waiting.join();
  EXPECT_GE(tx.room(), 3u);
}

TEST_P(WakeThreads, ASenderWithoutALinkWaitsForOne) {
  Pair apart({.socket = "", .rx_mode = GetParam()});
  TxQueue& tx = apart.client->tx(0);
  std::atomic<bool> asks{false};
  std::thread waiting([&] {
    asks = !tx.up();
    EXPECT_TRUE(tx.wait(1, forever));
  });
  while (!asks) std::this_thread::yield();
  ASSERT_TRUE(apart.connect());
  waiting.join();
}

// One waiter and one who wakes: a wake-up that is lost leaves both waiting.
TEST_P(WakeThreads, NoWakeUpIsLost) {
  for (int i = 0; i < 200; ++i) {
    Context context;
    RxQueue& rx = context.add({.socket = test::unique_socket(), .role = Role::server, .rx_mode = GetParam()}).rx(0);
    std::thread waker([&] { rx.wake(); });
    EXPECT_FALSE(rx.wait(forever));
    waker.join();
  }
}

const auto name = [](const auto& tested) { return to_string(tested.param); };
INSTANTIATE_TEST_SUITE_P(Modes, Wake, testing::Values(RxMode::polling, RxMode::interrupt, RxMode::adaptive), name);
INSTANTIATE_TEST_SUITE_P(Modes, WakeThreads, testing::Values(RxMode::polling, RxMode::interrupt, RxMode::adaptive),
                         name);

}  // namespace
}  // namespace memif
