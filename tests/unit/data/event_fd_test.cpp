// What makes a receive queue's descriptor readable, and what wakes a thread in wait() without that.
#include <array>
#include <gtest/gtest.h>
#include <poll.h>
#include <thread>
#include <unistd.h>

#include "support/confined.hpp"
#include "support/pair.hpp"

namespace memif {
namespace {

using test::Pair;
using namespace std::chrono_literals;

bool readable(const Fd& fd) {
  pollfd entry{.fd = fd.get(), .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, 0) == 1;
}

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

TEST_P(EventFd, IsReadableForPacketsOnly) {
  RxQueue& rx = own().rx(0);
  ASSERT_TRUE(rx.arm());
  const Fd kept(::dup(rx.event_fd()));
  rx.set_mode(RxMode::polling);
  rx.set_mode(RxMode::interrupt);
  EXPECT_FALSE(readable(kept));
  ASSERT_TRUE(peer().tx(0).send_copy(std::array<std::byte, 60>{}));
  EXPECT_TRUE(readable(kept));
  rx.disarm();
  EXPECT_FALSE(readable(kept));
  disconnect();
  EXPECT_FALSE(readable(kept));
  std::array<Buffer, 4> buffers;
  EXPECT_TRUE(rx.receive(buffers).empty());
  EXPECT_FALSE(readable(kept));
}

class EventFdThreads : public EventFd {};

// One that sleeps on it is woken when the link ends, and when the mode changes, and leaves it as it was.
TEST_P(EventFdThreads, WakeWhenTheLinkEnds) {
  RxQueue& rx = own().rx(0);
  const Fd kept(::dup(rx.event_fd()));
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
  const Fd kept(::dup(rx.event_fd()));
  std::thread waiting([&rx] { EXPECT_TRUE(rx.wait(60s)); });
  while (rx.counters().sleeps.get() == 0) std::this_thread::yield();
  rx.set_mode(RxMode::adaptive);
  while (rx.counters().sleeps.get() == 1) std::this_thread::yield();  // it woke, spun, and slept again
  ASSERT_TRUE(peer().tx(0).send_copy(std::array<std::byte, 60>{}));
  waiting.join();
  EXPECT_FALSE(readable(kept));
}

INSTANTIATE_TEST_SUITE_P(BothRoles, EventFd, testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Client" : "Server"; });
INSTANTIATE_TEST_SUITE_P(BothRoles, EventFdThreads, testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Client" : "Server"; });

}  // namespace
}  // namespace memif
