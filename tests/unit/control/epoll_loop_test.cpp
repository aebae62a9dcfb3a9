#include "control/epoll_loop.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace memif {
namespace {

using std::chrono::milliseconds;

class EpollLoopTest : public testing::Test {
 protected:
  EpollLoopTest() : loop_(EpollLoop::create().value()) {}

  static Fd ready_fd() { return Fd(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)); }
  static Fd quiet_fd() { return Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

  bool run(milliseconds timeout = milliseconds(0)) {
    ready_.clear();
    timers_ = 0;
    return loop_->run_once(
        timeout, [this](int fd) { ready_.push_back(fd); }, [this] { ++timers_; });
  }
  bool readable() const {
    pollfd entry{loop_->fd(), POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1;
  }

  std::unique_ptr<EpollLoop> loop_;
  std::vector<int> ready_;
  int timers_ = 0;
};

TEST_F(EpollLoopTest, ReportsWhatIsReadyAndOnlyThat) {
  const Fd ready = ready_fd(), quiet = quiet_fd();
  ASSERT_TRUE(loop_->add(ready.get(), event_read));
  ASSERT_TRUE(loop_->add(quiet.get(), event_read));
  EXPECT_TRUE(run());
  EXPECT_EQ(ready_, std::vector{ready.get()});
}

TEST_F(EpollLoopTest, NothingReadyIsATimeOut) {
  const Fd quiet = quiet_fd();
  ASSERT_TRUE(loop_->add(quiet.get(), event_read));
  EXPECT_FALSE(run(milliseconds(1)));
}

TEST_F(EpollLoopTest, WatchesForWritingWhenAsked) {
  const Fd fd = quiet_fd();
  ASSERT_TRUE(loop_->add(fd.get(), event_read));
  EXPECT_FALSE(run());
  ASSERT_TRUE(loop_->change(fd.get(), event_read | event_write));
  EXPECT_TRUE(run());
  ASSERT_TRUE(loop_->change(fd.get(), event_read));
  EXPECT_FALSE(run());
}

TEST_F(EpollLoopTest, NoEventsMeansQuietEvenAfterAHangUp) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
  const Fd one(pair[0]);
  Fd other(pair[1]);
  ASSERT_TRUE(loop_->add(one.get(), event_read));
  ASSERT_TRUE(loop_->change(one.get(), 0));
  ASSERT_TRUE(loop_->change(one.get(), 0));
  other.reset();
  EXPECT_FALSE(run());
  ASSERT_TRUE(loop_->change(one.get(), event_read));
  EXPECT_TRUE(run());
  EXPECT_EQ(ready_, std::vector{one.get()});
}

TEST_F(EpollLoopTest, AddedWithoutEventsStillReportsAHangUp) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
  const Fd one(pair[0]);
  Fd other(pair[1]);
  ASSERT_TRUE(loop_->add(one.get(), 0));
  EXPECT_FALSE(run());
  other.reset();
  EXPECT_TRUE(run());
}

TEST_F(EpollLoopTest, MisuseIsAnErrorOrNothing) {
  const Fd fd = ready_fd();
  EXPECT_FALSE(loop_->change(fd.get(), event_read));
  EXPECT_FALSE(loop_->add(-1, event_read));
  loop_->remove(fd.get());
  ASSERT_TRUE(loop_->add(fd.get(), event_read));
  EXPECT_FALSE(loop_->add(fd.get(), event_read));
  loop_->remove(fd.get());
  EXPECT_FALSE(run());
  EXPECT_TRUE(loop_->add(fd.get(), event_read));
}

TEST_F(EpollLoopTest, RemovedByAnEarlierCallbackIsNotReported) {
  const Fd one = ready_fd(), two = ready_fd();
  ASSERT_TRUE(loop_->add(one.get(), event_read));
  ASSERT_TRUE(loop_->add(two.get(), event_read));
  int calls = 0;
  EXPECT_TRUE(loop_->run_once(
      milliseconds(0),
      [&](int fd) {
        ++calls;
        loop_->remove(fd == one.get() ? two.get() : one.get());
      },
      [] {}));
  EXPECT_EQ(calls, 1);
}

TEST_F(EpollLoopTest, NewDescriptorOfTheSameNumberGetsNoOldEvent) {
  Fd one = ready_fd(), two = ready_fd();
  ASSERT_TRUE(loop_->add(one.get(), event_read));
  ASSERT_TRUE(loop_->add(two.get(), event_read));
  int calls = 0;
  loop_->run_once(
      milliseconds(0),
      [&](int fd) {
        ++calls;
        Fd& other = fd == one.get() ? two : one;
        const int number = other.get();
        loop_->remove(number);
        other = Fd();
        other = quiet_fd();
        ASSERT_EQ(other.get(), number);
        ASSERT_TRUE(loop_->add(number, event_read));
      },
      [] {});
  EXPECT_EQ(calls, 1);
}

TEST_F(EpollLoopTest, RemovalInsideANestedRunReachesTheOuterRound) {
  const Fd one = ready_fd(), two = ready_fd();
  ASSERT_TRUE(loop_->add(one.get(), event_read));
  ASSERT_TRUE(loop_->add(two.get(), event_read));
  int outer = 0;
  loop_->run_once(
      milliseconds(0),
      [&](int) {
        ++outer;
        loop_->run_once(
            milliseconds(0), [&](int fd) { loop_->remove(fd); }, [] {});
      },
      [] {});
  EXPECT_EQ(outer, 1);
}

TEST_F(EpollLoopTest, ThrowingCallbackLeavesTheLoopUsable) {
  const Fd fd = ready_fd();
  ASSERT_TRUE(loop_->add(fd.get(), event_read));
  EXPECT_THROW(loop_->run_once(
                   milliseconds(0), [](int) { throw 1; }, [] {}),
               int);
  loop_->remove(fd.get());
  ASSERT_TRUE(loop_->add(fd.get(), event_read));
  EXPECT_TRUE(run());
}

TEST_F(EpollLoopTest, TimerFiresOnceWhenItsTimeHasCome) {
  loop_->set_timer(Clock::now() + milliseconds(5));
  const auto before = Clock::now();
  EXPECT_TRUE(run(milliseconds(5000)));
  EXPECT_EQ(timers_, 1);
  EXPECT_GE(Clock::now() - before, milliseconds(4));
  EXPECT_FALSE(run());
}

TEST_F(EpollLoopTest, TimeLongPastFiresAtOnce) {
  loop_->set_timer(Clock::time_point{});
  EXPECT_TRUE(run(milliseconds(5000)));
  EXPECT_EQ(timers_, 1);
  loop_->set_timer(Clock::time_point::min());
  EXPECT_TRUE(run(milliseconds(5000)));
  EXPECT_EQ(timers_, 1);
}

TEST_F(EpollLoopTest, DisarmedTimerDoesNotFire) {
  loop_->set_timer(Clock::time_point{});
  loop_->set_timer(std::nullopt);
  EXPECT_FALSE(run(milliseconds(1)));
  loop_->set_timer(Clock::time_point::max());
  EXPECT_FALSE(run(milliseconds(1)));
}

TEST_F(EpollLoopTest, TimerDisarmedByAnEarlierCallbackDoesNotFire) {
  const Fd fd = ready_fd();
  ASSERT_TRUE(loop_->add(fd.get(), event_read));
  loop_->set_timer(Clock::time_point{});
  int timers = 0, reads = 0;
  // The order within a round is the kernel's: whichever comes first forbids the other.
  loop_->run_once(
      milliseconds(1000),
      [&](int) {
        ++reads;
        loop_->set_timer(std::nullopt);
      },
      [&] {
        ++timers;
        loop_->remove(fd.get());
      });
  EXPECT_EQ(timers + reads, 1);
}

TEST_F(EpollLoopTest, NestsInAnotherLoopTimerIncluded) {
  EXPECT_FALSE(readable());
  loop_->set_timer(Clock::time_point{});
  EXPECT_TRUE(readable());
  run();
  EXPECT_FALSE(readable());
  const Fd fd = ready_fd();
  ASSERT_TRUE(loop_->add(fd.get(), event_read));
  EXPECT_TRUE(readable());
}

}  // namespace
}  // namespace memif
