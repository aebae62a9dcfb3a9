// What else a wait set waits for, free slots, descriptors and contexts, and how its members come and go.
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <thread>

#include "base/deferred.hpp"
#include "support/confined.hpp"
#include "unit/control/wait_set_fixture.hpp"

namespace memif {
namespace {

using namespace test;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

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

class WaitSetMembers : public WaitSetFixture {};

TEST_P(WaitSetMembers, NoneTimesOut) {
  EXPECT_THAT(set.wait(0ns), IsEmpty());
  EXPECT_THAT(set.wait(2ms), IsEmpty());
}

TEST_P(WaitSetMembers, FreeSlotsTellWhenThereAreEnough) {
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

TEST_P(WaitSetMembers, DescriptorsTellTheirEvents) {
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

TEST_P(WaitSetMembers, DescriptorsAreSeenThoughQueuesAreAlwaysReady) {
  add_all();
  const Event event;
  set.add(event.fd.get(), event_read, 4);
  send(0);
  event.set();
  std::size_t waits = 1;
  while (set.wait(forever).size() != 2 && waits != 100) ++waits;
  EXPECT_LE(waits, 33u);
}

TEST_P(WaitSetMembers, ContextsAreDriven) {
  Pair later(config_of(GetParam()));
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

TEST_P(WaitSetMembers, AreOutlived) {
  auto other = std::make_unique<Pair>(config_of(GetParam()));
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

TEST_P(WaitSetMembers, StayAsTheyWere) {
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

TEST_P(WaitSetMembers, ThatCannotBeWatchedAreRefused) {
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

INSTANTIATE_TEST_SUITE_P(Modes, WaitSetMembers, testing::ValuesIn(modes), name_of_mode);

}  // namespace
}  // namespace memif
