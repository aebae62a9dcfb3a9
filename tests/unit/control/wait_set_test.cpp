// One wait for many queues: which it tells of, over links that come and go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "support/confined.hpp"
#include "unit/control/wait_set_fixture.hpp"

namespace memif {
namespace {

using namespace test;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class WaitSetQueues : public WaitSetFixture {};

TEST_P(WaitSetQueues, TellsWhichHavePackets) {
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

TEST_P(WaitSetQueues, KnowsThemByTheKeyThatWasGivenLast) {
  set.add(rx(0), 7);
  set.add(rx(0), 8);
  send(0);
  EXPECT_THAT(set.wait(forever), ElementsAre(8));
}

TEST_P(WaitSetQueues, SeesLinksComeAndGoWithoutAWord) {
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
TEST_P(WaitSetQueues, SeesLinksThatTheProgramSawFirst) {
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

TEST_P(WaitSetQueues, SeesTheFirstLink) {
  Pair later(config_of(GetParam()));
  set.add(later.server->rx(0), 5);
  EXPECT_THAT(set.wait(1ms), IsEmpty());
  ASSERT_TRUE(later.connect());
  ASSERT_TRUE(later.client->tx(0).send_copy(packet));
  EXPECT_THAT(set.wait(forever), ElementsAre(5));
}

TEST_P(WaitSetQueues, GoesByTheirModes) {
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
TEST_P(WaitSetQueues, LooksAtThoseThatWereReadyLately) {
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

TEST_P(WaitSetQueues, IsNotToldOfThoseRemoved) {
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

TEST_P(WaitSetQueues, SharesThemWithNoOther) {
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

// As RxQueue::event_fd() does: nobody would ever hear of its packets.
TEST_P(WaitSetQueues, EndsALinkThatCannotBeWatched) {
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
TEST_P(WaitSetQueues, LeavesThemAloneInAChild) {
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

INSTANTIATE_TEST_SUITE_P(Modes, WaitSetQueues, testing::ValuesIn(modes), name_of_mode);

}  // namespace
}  // namespace memif
