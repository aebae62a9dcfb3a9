// What makes a receive queue's descriptor readable, and the peer's of the present link; and what wakes a thread in
// wait().
#include <array>
#include <gtest/gtest.h>
#include <poll.h>
#include <thread>
#include <unistd.h>

#include "memory/interrupt.hpp"
#include "support/confined.hpp"
#include "support/pair.hpp"

namespace memif {
namespace {

using test::Pair;
using namespace std::chrono_literals;

bool readable(int fd) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, 0) == 1;
}
bool readable(const Fd& fd) { return readable(fd.get()); }

constexpr std::array<std::byte, 60> packet{};

class EventFd : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override { ASSERT_TRUE(pair.connect()); }
  Interface& own() { return GetParam() ? *pair.client : *pair.server; }
  Interface& peer() { return GetParam() ? *pair.server : *pair.client; }
  void disconnect() {
    peer().disconnect("for the test");
    ASSERT_TRUE(
        test::poll_until({&pair.server_context, &pair.client_context}, [&] { return own().info().disconnects != 0; }));
  }

  Pair pair{{.socket = "", .rx_mode = RxMode::interrupt, .reconnect = 0ms}};
};

TEST_P(EventFd, OfALinkIsReadableForPacketsOnly) {
  RxQueue& rx = own().rx(0);
  ASSERT_TRUE(rx.arm());
  const Fd kept(::dup(rx.raw().event_fd()));
  rx.set_mode(RxMode::polling);
  rx.set_mode(RxMode::interrupt);
  EXPECT_FALSE(readable(kept));
  ASSERT_TRUE(peer().tx(0).send_copy(packet));
  EXPECT_TRUE(readable(kept));
  rx.disarm();
  EXPECT_FALSE(readable(kept));
  disconnect();
  EXPECT_FALSE(readable(kept));
  std::array<Buffer, 4> buffers;
  EXPECT_TRUE(rx.receive(buffers).empty());
  EXPECT_FALSE(readable(kept));
}

TEST_P(EventFd, IsReadableForPacketsUntilDisarmed) {
  RxQueue& rx = own().rx(0);
  const int fd = rx.event_fd();
  rx.disarm();
  ASSERT_TRUE(rx.arm());
  EXPECT_FALSE(readable(fd));
  ASSERT_TRUE(peer().tx(0).send_copy(packet));
  EXPECT_TRUE(readable(fd));
  EXPECT_TRUE(readable(fd)) << "it is level-triggered";
  std::array<Buffer, 4> buffers;
  EXPECT_EQ(rx.receive(buffers).size(), 1u);
  EXPECT_TRUE(readable(fd));
  rx.disarm();
  EXPECT_FALSE(readable(fd));
  ASSERT_TRUE(peer().tx(0).send_copy(packet));
  EXPECT_FALSE(readable(fd)) << "nobody armed it";
  EXPECT_FALSE(rx.arm()) << "and a loop is told to look at the packet instead";
}

TEST_P(EventFd, IsTheSameOverLinksAndTellsOfEach) {
  RxQueue& rx = own().rx(0);
  const int fd = rx.event_fd();
  std::array<Buffer, 4> buffers;
  for (std::uint64_t links = 1; links != 4; ++links) {
    EXPECT_TRUE(readable(fd)) << "the link is new";
    rx.disarm();
    EXPECT_FALSE(readable(fd));
    ASSERT_TRUE(rx.arm());
    ASSERT_TRUE(peer().tx(0).send_copy(packet));
    EXPECT_TRUE(readable(fd));
    rx.disarm();
    EXPECT_EQ(rx.receive(buffers).size(), 1u);
    ASSERT_TRUE(rx.arm());
    ASSERT_FALSE(readable(fd));
    peer().disconnect("for the test");
    ASSERT_TRUE(test::poll_until({&pair.server_context, &pair.client_context},
                                 [&] { return own().info().disconnects == links; }));
    EXPECT_TRUE(readable(fd)) << "the link has gone";
    rx.disarm();
    EXPECT_FALSE(readable(fd));
    EXPECT_TRUE(rx.arm()) << "without a link it is safe to sleep";
    EXPECT_FALSE(readable(fd));
    pair.client->connect();
    ASSERT_TRUE(pair.connect());
    EXPECT_EQ(rx.event_fd(), fd);
  }
}

TEST_P(EventFd, OfAFormerLinkIsNotHeard) {
  RxQueue& rx = own().rx(0);
  const int fd = rx.event_fd();
  const Fd former(::dup(rx.raw().event_fd()));
  disconnect();
  rx.disarm();
  signal_interrupt(former.get());
  EXPECT_TRUE(readable(former));
  EXPECT_FALSE(readable(fd));
}

TEST_P(EventFd, IsThereBeforeTheFirstLinkAndStaysValidWithItsQueue) {
  Pair early({.socket = "", .rx_mode = RxMode::interrupt, .reconnect = 0ms});
  Interface& interface = GetParam() ? *early.client : *early.server;
  const int fd = interface.rx(0).event_fd();
  ASSERT_GE(fd, 0);
  interface.rx(0).disarm();
  EXPECT_FALSE(readable(fd));
  ASSERT_TRUE(early.connect());
  EXPECT_TRUE(readable(fd));
  const std::shared_ptr<RxQueue> kept = interface.share_rx(0);
  kept->disarm();
  EXPECT_FALSE(readable(fd));
  (GetParam() ? early.client_context : early.server_context).remove(interface);
  EXPECT_TRUE(readable(fd));
  EXPECT_EQ(kept->event_fd(), fd);
  kept->disarm();
  EXPECT_FALSE(readable(fd));
}

// Without descriptors there is none, and a wait goes by the clock.
TEST_P(EventFd, ThrowsWhereThereAreNoDescriptors) {
  RxQueue& rx = own().rx(0);
  std::thread([&] {
    test::refuse_calls({SYS_epoll_create1, SYS_eventfd2});
    EXPECT_THROW(rx.event_fd(), Exception);
    EXPECT_FALSE(rx.wait(25ms));
    ASSERT_TRUE(peer().tx(0).send_copy(packet));
    EXPECT_TRUE(rx.wait(60s));
  }).join();
  EXPECT_GE(rx.event_fd(), 0);
}

class EventFdThreads : public EventFd {};

// One that sleeps on it is woken when the link ends, and when the mode changes, and leaves it as it was.
TEST_P(EventFdThreads, WakeWhenTheLinkEnds) {
  RxQueue& rx = own().rx(0);
  const Fd kept(::dup(rx.raw().event_fd()));
  std::thread waiting([&rx] {
    const std::uint32_t epoch = rx.raw().epoch();
    while (rx.raw().epoch() == epoch) rx.wait(60s);
  });
  while (rx.counters().sleeps.get() == 0) std::this_thread::yield();
  const auto start = Clock::now();
  disconnect();
  waiting.join();
  EXPECT_LT(Clock::now() - start, 30s);
  EXPECT_FALSE(readable(kept));
}

// Whatever stands in the way of signalling the peer's descriptors.
TEST_P(EventFdThreads, WakeWhenTheLinkEndsThoughNothingCanBeSignalled) {
  RxQueue& rx = own().rx(0);
  std::thread waiting([&rx] {
    const std::uint32_t epoch = rx.raw().epoch();
    while (rx.raw().epoch() == epoch) rx.wait(120s);
  });
  while (rx.counters().sleeps.get() == 0) std::this_thread::yield();
  const auto start = Clock::now();
  std::thread([this] {
    test::refuse_calls({SYS_io_submit, SYS_clone, SYS_clone3});
    disconnect();
  }).join();
  waiting.join();
  EXPECT_LT(Clock::now() - start, 60s);
}

TEST_P(EventFdThreads, WakeWhenTheModeChanges) {
  RxQueue& rx = own().rx(0);
  const Fd kept(::dup(rx.raw().event_fd()));
  std::thread waiting([&rx] { EXPECT_TRUE(rx.wait(60s)); });
  while (rx.counters().sleeps.get() == 0) std::this_thread::yield();
  rx.set_mode(RxMode::adaptive);
  while (rx.counters().sleeps.get() == 1) std::this_thread::yield();  // it woke, spun, and slept again
  ASSERT_TRUE(peer().tx(0).send_copy(packet));
  waiting.join();
  EXPECT_FALSE(readable(kept));
}

INSTANTIATE_TEST_SUITE_P(BothRoles, EventFd, testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Client" : "Server"; });
INSTANTIATE_TEST_SUITE_P(BothRoles, EventFdThreads, testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Client" : "Server"; });

}  // namespace
}  // namespace memif
