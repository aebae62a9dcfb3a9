// Threads that wake a wait set, send to its queues, or take its links away while it waits.
#include <array>
#include <atomic>
#include <csignal>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

#include "unit/control/wait_set_fixture.hpp"

namespace memif {
namespace {

using namespace test;
using namespace std::chrono_literals;
using testing::IsEmpty;

class WaitSetThreads : public WaitSetFixture {};

TEST_P(WaitSetThreads, AreWoken) {
  fill(tx(0));
  set.add(tx(0), 0);
  set.add(rx(2), 2);
  const auto wakers = std::to_array<std::function<void()>>({
      [this] { set.wake(); },
      [this] { rx(2).wake(); },
      [this] { tx(0).wake(); },
  });
  for (const auto& wake : wakers) {
    std::thread waker([&] {
      std::this_thread::yield();
      wake();
    });
    EXPECT_THAT(set.wait(forever), IsEmpty());
    waker.join();
  }
  set.wake();
  set.wake();
  EXPECT_THAT(set.wait(forever), IsEmpty()) << "also by a call of before";
  const auto start = Clock::now();
  EXPECT_THAT(set.wait(2ms), IsEmpty());
  EXPECT_GE(Clock::now() - start, 2ms) << "once";
}

TEST_P(WaitSetThreads, AreWokenBySignalHandlers) {
  static std::atomic<WaitSet*> waiting_set;
  waiting_set = &set;
  struct sigaction act {};
  struct sigaction before {};
  act.sa_handler = [](int) { waiting_set.load()->wake(); };
  ASSERT_EQ(::sigaction(SIGUSR1, &act, &before), 0);
  add_all();
  std::atomic<bool> done{false};
  std::thread waiting([&] {
    EXPECT_THAT(set.wait(forever), IsEmpty());
    done = true;
  });
  while (!done) {
    ::pthread_kill(waiting.native_handle(), SIGUSR1);
    std::this_thread::yield();
  }
  waiting.join();
  ::sigaction(SIGUSR1, &before, nullptr);
}

// Each packet waits for the one before: a wake-up that is lost leaves both sides waiting.
TEST_P(WaitSetThreads, LoseNoPacketOfAnyQueue) {
  constexpr std::uint64_t packets = 1000;
  add_all();
  std::atomic<std::uint64_t> received{0};
  std::thread sender([&] {
    for (std::uint64_t sent = 0; sent != packets; ++sent) {
      while (!tx(sent * sent % 4).send_copy(packet)) std::this_thread::yield();
      while (received == sent) std::this_thread::yield();
    }
  });
  while (received != packets) {
    const auto ready = set.wait(60s);
    if (ready.empty()) break;
    for (const WaitSet::Key key : ready) received += take(rx(key));
    if (received % 7 == 0) rx(received / 7 % 4).set_mode(received % 2 == 0 ? RxMode::interrupt : GetParam());
  }
  EXPECT_EQ(received, packets);
  received = packets;
  sender.join();
}

TEST_P(WaitSetThreads, SendWhatThereIsRoomFor) {
  constexpr std::uint64_t packets = 2000;
  std::atomic<std::uint64_t> received{0};
  set.add(tx(0), 0, 2);
  std::thread receiver([&] {
    while (received < packets && rx(0).wait(60s)) received += take(rx(0));
  });
  std::uint64_t sent = 0;
  while (sent < packets && !set.wait(60s).empty()) {
    ASSERT_GE(tx(0).room(), 2u);
    sent += tx(0).send_copy(packet);
    sent += tx(0).send_copy(packet);
  }
  receiver.join();
  EXPECT_EQ(received, packets);
}

TEST_P(WaitSetThreads, GoOnOverLinksThatComeAndGo) {
  add_all();
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> links{0};
  std::thread peer([&] {  // both control threads, and the client's data
    for (; links != 20; ++links) {
      const std::uint64_t before = rx(links % 4).counters().packets.get();
      while (!tx(links % 4).send_copy(packet)) std::this_thread::yield();
      while (rx(links % 4).counters().packets.get() == before) std::this_thread::yield();
      disconnect();
      reconnect();
    }
    stop = true;
    set.wake();
  });
  while (!stop)
    for (const WaitSet::Key key : set.wait(forever)) take(rx(key));
  peer.join();
}

// It never has a packet, but a count that does not end.
TEST_P(WaitSetThreads, AreNotHeldUpByAPeerThatInterruptsWithoutEnd) {
  add_all();
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  std::atomic<bool> stop{false};
  const Fd interrupt(::dup(rx(0).raw().event_fd()));
  std::thread flood([&] {
    while (!stop) ::eventfd_write(interrupt.get(), 1);
  });
  const auto start = Clock::now();
  EXPECT_THAT(set.wait(10ms), IsEmpty());
  if (GetParam() != RxMode::polling) {
    while (rx(0).up() && Clock::now() - start < 60s) set.wait(1ms);
    EXPECT_FALSE(rx(0).up());
  }
  EXPECT_LT(Clock::now() - start, 60s);
  stop = true;
  flood.join();
}

INSTANTIATE_TEST_SUITE_P(Modes, WaitSetThreads, testing::ValuesIn(modes), name_of_mode);

}  // namespace
}  // namespace memif
