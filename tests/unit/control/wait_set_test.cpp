// One wait for many queues, contexts and descriptors.
#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/deferred.hpp"
#include "support/confined.hpp"
#include "support/pair.hpp"

namespace memif {
namespace {

using test::Pair;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using namespace std::chrono_literals;

constexpr std::array<std::byte, 60> packet{};
constexpr auto forever = -1ns;

InterfaceConfig config(RxMode mode, std::uint16_t queues = 1) {
  InterfaceConfig config{.socket = ""};
  config.rx_queues = config.tx_queues = queues;
  config.ring_size = 8;
  config.rx_mode = mode;
  config.spin = 20us;
  config.reconnect = 0ms;
  return config;
}

std::size_t take(RxQueue& rx) {
  std::array<Buffer, 8> buffers;
  return rx.receive(buffers).size();
}

void fill(TxQueue& tx) {
  while (tx.send_copy(packet)) {
  }
}

// An eventfd, as a descriptor of the program's.
struct Event {
  Fd fd{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  void set() const { ASSERT_EQ(::eventfd_write(fd.get(), 1), 0); }
  void clear() const {
    eventfd_t count;
    ASSERT_EQ(::eventfd_read(fd.get(), &count), 0);
  }
};

std::ptrdiff_t open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}

class WaitSetOf : public testing::TestWithParam<RxMode> {
 protected:
  void SetUp() override { ASSERT_TRUE(pair.connect()); }
  RxQueue& rx(std::size_t i) { return pair.server->rx(i); }
  TxQueue& tx(std::size_t i) { return pair.client->tx(i); }
  void send(std::size_t queue) { ASSERT_TRUE(tx(queue).send_copy(packet)); }
  void disconnect() {
    pair.client->disconnect("for the test");
    ASSERT_TRUE(poll_until([&] { return !pair.server->connected(); }));
  }
  bool poll_until(const std::function<bool()>& done) {
    return test::poll_until({&pair.server_context, &pair.client_context}, done);
  }
  void reconnect() {
    pair.client->connect();
    ASSERT_TRUE(pair.connect());
  }
  void add_all() {
    for (std::size_t i = 0; i != 4; ++i) set.add(rx(i), i);
  }

  Pair pair{config(GetParam(), 4)};
  WaitSet set;
};

TEST_P(WaitSetOf, NothingTimesOut) {
  EXPECT_THAT(set.wait(0ns), IsEmpty());
  EXPECT_THAT(set.wait(2ms), IsEmpty());
}

TEST_P(WaitSetOf, QueuesTellsWhichHavePackets) {
  add_all();
  EXPECT_THAT(set.wait(0ns), IsEmpty());
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  send(2);
  EXPECT_THAT(set.wait(forever), ElementsAre(2));
  EXPECT_THAT(set.wait(0ns), ElementsAre(2)) << "the packet was not taken";
  send(0);
  std::size_t waits = 1;
  while (set.wait(forever).size() != 2 && waits != 100) ++waits;
  EXPECT_LE(waits, 33u);
  EXPECT_THAT(set.wait(0ns), UnorderedElementsAre(0, 2));
  EXPECT_EQ(take(rx(2)), 1u);
  EXPECT_THAT(set.wait(forever), ElementsAre(0));
  EXPECT_EQ(take(rx(0)), 1u);
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  send(3);
  EXPECT_THAT(set.wait(forever), ElementsAre(3));
}

TEST_P(WaitSetOf, QueuesKnowsThemByTheKeyThatWasGivenLast) {
  set.add(rx(0), 7);
  set.add(rx(0), 8);
  send(0);
  EXPECT_THAT(set.wait(forever), ElementsAre(8));
}

TEST_P(WaitSetOf, QueuesSeesLinksComeAndGoWithoutAWord) {
  add_all();
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  for (int i = 0; i < 5; ++i) {
    send(1);
    EXPECT_THAT(set.wait(forever), ElementsAre(1));
    disconnect();
    EXPECT_THAT(set.wait(1ms), IsEmpty()) << "and what was not taken has gone with its link";
    reconnect();
    if (i % 2 == 0) {
      EXPECT_THAT(set.wait(1ms), IsEmpty());
    }
  }
}

// The program's own calls find the new link before the set does.
TEST_P(WaitSetOf, QueuesSeesLinksThatTheProgramSawFirst) {
  add_all();
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(set.wait(1ms), IsEmpty());
    disconnect();
    EXPECT_EQ(take(rx(1)), 0u);
    reconnect();
    EXPECT_EQ(take(rx(1)), 0u);
    EXPECT_THAT(set.wait(1ms), IsEmpty());
    send(1);
    EXPECT_THAT(set.wait(forever), ElementsAre(1));
    EXPECT_EQ(take(rx(1)), 1u);
  }
}

TEST_P(WaitSetOf, QueuesSeesTheFirstLink) {
  Pair later(config(GetParam()));
  set.add(later.server->rx(0), 5);
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  ASSERT_TRUE(later.connect());
  ASSERT_TRUE(later.client->tx(0).send_copy(packet));
  EXPECT_THAT(set.wait(forever), ElementsAre(5));
}

TEST_P(WaitSetOf, QueuesGoesByTheirModes) {
  add_all();
  for (const RxMode mode : {RxMode::polling, RxMode::interrupt, RxMode::adaptive, RxMode::polling}) {
    EXPECT_THAT(set.wait(1ms), IsEmpty());
    rx(1).set_mode(mode);
    send(1);
    EXPECT_THAT(set.wait(forever), ElementsAre(1));
    EXPECT_EQ(take(rx(1)), 1u);
  }
}

// Those that were not ready for long are left to their peers' interrupts, those that poll are not.
TEST_P(WaitSetOf, QueuesLooksAtThoseThatWereReadyLately) {
  add_all();
  const auto interrupts = [this](std::size_t queue) { return tx(queue).counters().interrupts.get(); };
  const auto keep_busy = [this] {
    for (int i = 0; i < 1000; ++i) {
      send(0);
      ASSERT_THAT(set.wait(forever), testing::Contains(0));
      ASSERT_EQ(take(rx(0)), 1u);
    }
  };
  keep_busy();
  const std::uint64_t of_busy = interrupts(0), of_idle = interrupts(3);
  send(3);
  EXPECT_EQ(interrupts(3) - of_idle, GetParam() == RxMode::polling ? 0u : 1u);
  std::size_t waits = 0;
  do send(0);
  while (set.wait(forever).size() != 2 && ++waits != 100 && take(rx(0)) == 1);
  EXPECT_LT(waits, 100u);
  take(rx(0));
  EXPECT_EQ(take(rx(3)), 1u);
  send(3);
  EXPECT_EQ(interrupts(3) - of_idle, GetParam() == RxMode::polling ? 0u : 1u) << "it is looked at again";
  EXPECT_EQ(take(rx(3)), 1u);
  EXPECT_EQ(interrupts(0), of_busy);
}

TEST_P(WaitSetOf, QueuesIsNotToldOfThoseRemoved) {
  add_all();
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  set.remove(rx(1));
  set.remove(rx(1));
  const std::uint64_t interrupts = tx(1).counters().interrupts.get();
  send(1);
  EXPECT_EQ(tx(1).counters().interrupts.get(), interrupts) << "nobody waits for it";
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  EXPECT_TRUE(rx(1).wait(forever)) << "as before it was in a set";
  set.add(rx(1), 9);
  EXPECT_THAT(set.wait(forever), ElementsAre(9));
}

TEST_P(WaitSetOf, RoomTellsWhenThereIsEnough) {
  set.add(tx(0), 0, 3);
  EXPECT_THAT(set.wait(forever), ElementsAre(0));
  fill(tx(0));
  EXPECT_THAT(set.wait(0ns), IsEmpty());
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  std::array<Buffer, 2> two;
  EXPECT_EQ(rx(0).receive(two).size(), 2u);
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  set.add(tx(0), 1, 2);
  EXPECT_THAT(set.wait(forever), ElementsAre(1));
  set.add(tx(0), 1, 100);
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  EXPECT_EQ(take(rx(0)), 6u);
  EXPECT_THAT(set.wait(forever), ElementsAre(1)) << "more than the ring has means all";
  set.add(tx(0), 1, 0);
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  set.add(tx(0), 2, 1);
  EXPECT_THAT(set.wait(forever), ElementsAre(2));
  disconnect();
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  reconnect();
  EXPECT_THAT(set.wait(forever), ElementsAre(2));
  set.remove(tx(0));
  EXPECT_THAT(set.wait(1ms), IsEmpty());
}

TEST_P(WaitSetOf, DescriptorsTellsTheirEvents) {
  const Event event;
  set.add(event.fd.get(), event_read, 4);
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  event.set();
  EXPECT_THAT(set.wait(forever), ElementsAre(4));
  EXPECT_THAT(set.wait(0ns), ElementsAre(4));
  event.clear();
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  set.add(event.fd.get(), event_write, 5);
  EXPECT_THAT(set.wait(forever), ElementsAre(5));
  set.remove(event.fd.get());
  EXPECT_THAT(set.wait(0ns), IsEmpty());
}

TEST_P(WaitSetOf, DescriptorsSeesThemThoughQueuesAreAlwaysReady) {
  add_all();
  const Event event;
  set.add(event.fd.get(), event_read, 4);
  send(0);
  event.set();
  std::size_t waits = 1;
  while (set.wait(forever).size() != 2 && waits != 100) ++waits;
  EXPECT_LE(waits, 33u);
}

TEST_P(WaitSetOf, ContextsDrivesThem) {
  Pair later(config(GetParam()));
  set.add(later.server_context, 0);
  set.add(later.client_context, 1);
  set.add(later.server->rx(0), 2);
  bool sent = false, received = false;
  for (int i = 0; !received && i < 1000; ++i) {
    for (const WaitSet::Key key : set.wait(10s)) {
      if (key == 0) later.server_context.poll(0ms);
      if (key == 1) later.client_context.poll(0ms);
      if (key == 2) received = take(later.server->rx(0)) == 1;
    }
    if (!sent && later.client->connected()) sent = later.client->tx(0).send_copy(packet);
  }
  EXPECT_TRUE(received);
}

TEST_P(WaitSetOf, MembersOutlivesThem) {
  auto other = std::make_unique<Pair>(config(GetParam()));
  ASSERT_TRUE(other->connect());
  set.add(other->server->rx(0), 0);
  set.add(other->client->tx(0), 1, 8);
  set.add(other->server_context, 2);
  EXPECT_THAT(set.wait(forever), ElementsAre(1));
  other->server_context.remove(*other->server);
  other->client_context.remove(*other->client);
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  other.reset();
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  add_all();
  send(3);
  EXPECT_THAT(set.wait(forever), ElementsAre(3));
}

TEST_P(WaitSetOf, MembersLeavesThemAsTheyWere) {
  while (deferred::outstanding() != 0) std::this_thread::yield();  // descriptors of earlier links
  const auto before = open_descriptors();
  {
    WaitSet shorter;
    shorter.add(pair.server_context, 1);
    shorter.add(tx(0), 2);
    EXPECT_THAT(shorter.wait(forever), ElementsAre(2));
  }
  static_cast<void>(tx(0).wait(8, 0ns));
  EXPECT_EQ(open_descriptors(), before + 1) << "but for the queue's bell";
  WaitSet moved;
  {
    WaitSet first;
    first.add(rx(0), 0);
    EXPECT_THAT(first.wait(1ms), IsEmpty());
    moved = std::move(first);
  }
  send(0);
  EXPECT_THAT(moved.wait(forever), ElementsAre(0));
}

TEST_P(WaitSetOf, QueuesSharesThemWithNoOther) {
  {
    WaitSet other;
    other.add(rx(0), 0);
    const Status refused = set.try_add(rx(0), 0);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code.value(), EBUSY);
    EXPECT_THROW(set.add(rx(0), 0), Exception);
  }
  set.add(rx(0), 0);
  send(0);
  EXPECT_THAT(set.wait(forever), ElementsAre(0));
}

TEST_P(WaitSetOf, WhatCannotBeWatchedSaysSo) {
  EXPECT_FALSE(set.try_add(-1, event_read, 0));
  struct Loop : EventLoop {
    Status add(int, unsigned) override { return Nothing{}; }
    Status change(int, unsigned) override { return Nothing{}; }
    void remove(int) noexcept override {}
    void set_timer(std::optional<Clock::time_point>) noexcept override {}
  } loop;
  Context context{{.loop = &loop}};
  EXPECT_FALSE(set.try_add(context, 0));
  std::thread([&] {
    test::refuse_calls({SYS_eventfd2, SYS_epoll_create1, SYS_fcntl}, EMFILE);
    EXPECT_THROW(WaitSet(), Exception);
    EXPECT_FALSE(set.try_add(rx(0), 0));
    EXPECT_FALSE(set.try_add(tx(0), 0));
    EXPECT_FALSE(set.try_add(pair.server_context, 0));
  }).join();
  std::thread([&] {
    test::refuse_calls({SYS_epoll_ctl}, ENOSPC);
    EXPECT_FALSE(set.try_add(rx(0), 0));
    EXPECT_FALSE(set.try_add(pair.server_context, 0));
  }).join();
  EXPECT_THAT(set.wait(0ns), IsEmpty());
  add_all();
  send(0);
  EXPECT_THAT(set.wait(forever), ElementsAre(0));
}

// As RxQueue::event_fd() does: nobody would ever hear of its packets.
TEST_P(WaitSetOf, QueuesEndsALinkThatCannotBeWatched) {
  if (GetParam() == RxMode::polling) GTEST_SKIP() << "it watches nothing";
  add_all();
  std::thread([&] {
    test::refuse_calls({SYS_epoll_ctl}, ENOSPC);
    EXPECT_THAT(set.wait(1ms), IsEmpty());
  }).join();
  ASSERT_TRUE(poll_until([&] { return !pair.server->connected() && !pair.client->connected(); }));
  EXPECT_EQ(pair.server->info().last_reason.value().code, Errc::broken_ring);
  reconnect();
  send(2);
  EXPECT_THAT(set.wait(forever), ElementsAre(2));
}

// What it does to the rings and to the kernel's lists, it would do to the parent's.
TEST_P(WaitSetOf, QueuesLeavesThemAloneInAChild) {
  add_all();
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  const pid_t child = ::fork();
  if (child == 0) {
    { const WaitSet inherited = std::move(set); }
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  send(1);
  EXPECT_THAT(set.wait(forever), ElementsAre(1));
}

class WaitSetThreads : public WaitSetOf {};

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

constexpr auto modes = {RxMode::polling, RxMode::interrupt, RxMode::adaptive};
const auto name = [](const auto& tested) { return to_string(tested.param); };
INSTANTIATE_TEST_SUITE_P(Modes, WaitSetOf, testing::ValuesIn(modes), name);
INSTANTIATE_TEST_SUITE_P(Modes, WaitSetThreads, testing::ValuesIn(modes), name);

}  // namespace
}  // namespace memif
