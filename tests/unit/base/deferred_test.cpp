// Closing what other processes have, too: whatever one of them does, the others' are closed, and nothing piles up.
#include "base/deferred.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <memif/fd.hpp>

#include "support/confined.hpp"
#include "support/lingering.hpp"
#include "support/resources.hpp"

namespace memif {
namespace {

using namespace std::chrono_literals;
using deferred::Kind;
using deferred::Place;
using test::Lingering;
using test::threads_named;

constexpr uid_t bad_user = 4000, good_user = 4001;

void close(int fd, uid_t user, Kind kind) { deferred::close(fd, user, Place(kind)); }

std::size_t closing_threads() { return threads_named("memif-close"); }

bool eventually(const std::function<bool()>& done) {
  for (const auto end = std::chrono::steady_clock::now() + 20s; !done();) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

// One end of a pipe; the other shows when it is closed.
class Watched {
 public:
  Watched() { EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC), 0); }
  ~Watched() { ::close(ends_[0]); }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

  int give() const { return ends_[1]; }
  bool closed() const {
    pollfd entry{ends_[0], 0, 0};
    return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLHUP) != 0;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

TEST(DeferredThreads, WhatIsGivenIsClosedAndNoThreadStays) {
  const std::size_t before = test::open_descriptors();
  for (int i = 0; i < 500; ++i) close(::eventfd(0, EFD_CLOEXEC), good_user, Kind::eventfd);
  EXPECT_TRUE(eventually([] { return closing_threads() == 0; }));
  EXPECT_EQ(test::open_descriptors(), before);
}

TEST(DeferredThreads, CallerDoesNotWait) {
  Lingering lingering;
  const auto begin = std::chrono::steady_clock::now();
  close(lingering.give(), bad_user, Kind::strange);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
}

TEST(DeferredThreads, OneUsersLongClosesHoldUpNobodyElse) {
  {
    std::vector<Lingering> lingering(100);
    for (Lingering& one : lingering) close(one.give(), bad_user, Kind::strange);
    const Watched of_good_user;
    close(of_good_user.give(), good_user, Kind::strange);
    EXPECT_TRUE(eventually([&] { return of_good_user.closed(); }));
    // Of the bad user's only some wait on threads. The rest is known, and no more is taken.
    EXPECT_TRUE(eventually([] { return closing_threads() <= 8; }));
    EXPECT_TRUE(eventually([] { return deferred::overloaded(bad_user); }));
    EXPECT_FALSE(deferred::overloaded(good_user));
    EXPECT_FALSE(deferred::full());
  }
  EXPECT_TRUE(eventually([] { return closing_threads() == 0; }));
  EXPECT_FALSE(deferred::overloaded(bad_user));
}

// Those who have none of the threads have one each beyond what the others share.
TEST(DeferredThreads, ManyUsersLongClosesHoldUpNobodyElse) {
  std::vector<Lingering> lingering(60);
  for (std::size_t i = 0; i < lingering.size(); ++i)
    close(lingering[i].give(), static_cast<uid_t>(bad_user + i / 2), Kind::eventfd);
  EXPECT_TRUE(eventually([] { return closing_threads() == 46; }));
  for (uid_t user = 5000; user < 5020; ++user) {
    const Watched good;
    close(good.give(), user, Kind::eventfd);
    EXPECT_TRUE(eventually([&] { return good.closed(); })) << user;
  }
  EXPECT_FALSE(deferred::full());
}

// However many come before any has waited long.
TEST(DeferredThreads, OneUsersLongClosesDoNotFillTheProcess) {
  const test::DescriptorLimit limit(1024);
  std::vector<Lingering> lingering(2);
  for (Lingering& one : lingering) close(one.give(), bad_user, Kind::eventfd);
  for (int i = 0; i < 600; ++i) close(::eventfd(0, EFD_CLOEXEC), bad_user, Kind::eventfd);
  EXPECT_TRUE(deferred::overloaded(bad_user));
  EXPECT_FALSE(deferred::full());
  lingering.clear();
  EXPECT_TRUE(eventually([] { return deferred::outstanding() == 0; }));
}

TEST(DeferredThreads, ManyUsersLongClosesAreLimited) {
  {
    std::vector<Lingering> lingering(150);
    uid_t user = bad_user;
    for (Lingering& one : lingering) close(one.give(), user++, Kind::strange);
    EXPECT_TRUE(eventually([] { return closing_threads() == 128; }));
    EXPECT_EQ(closing_threads(), 128u);
  }
  EXPECT_TRUE(eventually([] { return closing_threads() == 0; }));
}

// The counter of a blocking eventfd is full, and its reader does nothing.
TEST(DeferredThreads, SignalThatCannotBeGivenHoldsNothingUp) {
  const Fd theirs(::eventfd(0, EFD_CLOEXEC)), good(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const std::uint64_t full = ~std::uint64_t{0} - 1;
  ASSERT_EQ(::write(theirs.get(), &full, sizeof full), 8);
  const std::size_t before = test::open_descriptors();
  for (int i = 0; i < 1000; ++i) deferred::signal(theirs.get(), bad_user);
  deferred::signal(good.get(), good_user);
  EXPECT_TRUE(eventually([&] {
    pollfd entry{good.get(), POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1;
  }));
  EXPECT_EQ(test::open_descriptors(), before);
}

TEST(DeferredThreads, SignalledDescriptorIsClosedOnce) {
  const std::size_t before = test::open_descriptors();
  for (int i = 0; i < 2000; ++i) {
    const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    deferred::signal(fd, good_user);
    close(fd, good_user, Kind::eventfd);
  }
  EXPECT_EQ(test::open_descriptors(), before);
}

// Not even eventfds, which a peer may have in an epoll set that makes close() wait.
TEST(DeferredThreads, WithoutThreadsAllIsClosedLater) {
  ASSERT_TRUE(eventually([] { return closing_threads() == 0; }));
  const Watched unknown;
  const int event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const int copy = ::fcntl(event, F_DUPFD_CLOEXEC, 0);
  std::thread([&] {
    test::refuse_threads();
    close(unknown.give(), good_user, Kind::strange);
    close(copy, good_user, Kind::eventfd);
    deferred::signal(event, good_user);
  }).join();
  EXPECT_FALSE(unknown.closed());
  EXPECT_NE(::fcntl(copy, F_GETFD), -1);
  EXPECT_FALSE(deferred::full());  // a later attempt
  EXPECT_TRUE(eventually([&] { return unknown.closed() && ::fcntl(copy, F_GETFD) == -1; }));
  pollfd signalled{event, POLLIN, 0};
  EXPECT_EQ(::poll(&signalled, 1, 20'000), 1);
  close(event, good_user, Kind::eventfd);
  EXPECT_TRUE(eventually([&] { return ::fcntl(event, F_GETFD) == -1; }));
}

// Also where there is a thread, which waits for somebody.
TEST(DeferredThreads, WhatFoundNoThreadIsDoneWhenOneCanBeHad) {
  Lingering lingering;
  close(lingering.give(), bad_user, Kind::strange);
  ASSERT_TRUE(eventually([] { return closing_threads() == 1; }));
  const Watched waiting;
  std::thread([&] {
    test::refuse_threads();
    close(waiting.give(), good_user, Kind::strange);
  }).join();
  EXPECT_FALSE(waiting.closed());
  EXPECT_FALSE(deferred::full());  // a later attempt
  EXPECT_TRUE(eventually([&] { return waiting.closed(); }));
}

// Who has something closed may be alone on its processor, and stay there.
TEST(DeferredThreads, HelpersDoNotRunWhereTheirStarterHasToRun) {
  ASSERT_TRUE(eventually([] { return closing_threads() == 0; }));
  cpu_set_t of_process, of_helper;
  ASSERT_EQ(::sched_getaffinity(::getpid(), sizeof of_process, &of_process), 0);
  Lingering lingering;
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    EXPECT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
    close(lingering.give(), bad_user, Kind::strange);
  }).join();
  ASSERT_TRUE(eventually([] { return closing_threads() == 1; }));
  ASSERT_EQ(::sched_getaffinity(test::thread_named("memif-close"), sizeof of_helper, &of_helper), 0);
  EXPECT_TRUE(CPU_EQUAL(&of_process, &of_helper));
}

// The process's first thread may be the one that is alone on its processor, in real time.
TEST(DeferredThreads, HelpersOfAFirstThreadInRealTimeRunWhereverTheProcessMay) {
  ASSERT_TRUE(eventually([] { return closing_threads() == 0; }));
  const sched_param real_time{.sched_priority = 1}, ordinary{};
  if (::sched_setscheduler(0, SCHED_FIFO, &real_time) != 0) GTEST_SKIP() << "needs the right to run in real time";
  cpu_set_t allowed, one, of_helper;
  ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
  CPU_ZERO(&one);
  CPU_SET(::sched_getcpu(), &one);
  EXPECT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  Lingering lingering;
  close(lingering.give(), bad_user, Kind::strange);
  EXPECT_EQ(::sched_setscheduler(0, SCHED_OTHER, &ordinary), 0);
  EXPECT_EQ(::sched_setaffinity(0, sizeof allowed, &allowed), 0);
  ASSERT_TRUE(eventually([] { return closing_threads() == 1; }));
  const pid_t helper = test::thread_named("memif-close");
  EXPECT_EQ(::sched_getscheduler(helper), SCHED_OTHER);
  ASSERT_EQ(::sched_getaffinity(helper, sizeof of_helper, &of_helper), 0);
  CPU_AND(&of_helper, &of_helper, &allowed);
  EXPECT_TRUE(CPU_EQUAL(&of_helper, &allowed));
}

// Some sandboxes allow threads, but no change of how they are scheduled.
TEST(DeferredThreads, ThatMayNotBeScheduledOtherwiseAreBetterThanNone) {
  ASSERT_TRUE(eventually([] { return closing_threads() == 0; }));
  const Watched strange;
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    EXPECT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
    test::refuse_calls({SYS_sched_setaffinity, SYS_sched_setscheduler}, EPERM);
    close(strange.give(), good_user, Kind::strange);
    EXPECT_TRUE(eventually([&] { return strange.closed(); }));
  }).join();
}

// Not at any number of them: what is too much is told to those who would take more.
TEST(DeferredThreads, WithoutThreadsNoEventfdIsClosedByTheCaller) {
  ASSERT_TRUE(eventually([] { return closing_threads() == 0; }));
  const std::size_t before = test::open_descriptors();
  std::vector<int> events;
  std::thread([&] {
    test::refuse_threads();
    const test::DescriptorLimit limit(800);
    for (uid_t i = 0; i < 600; ++i) {
      events.push_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      close(events.back(), good_user + i / 60, Kind::eventfd);
    }
    EXPECT_TRUE(deferred::full());
    for (const int event : events) ASSERT_NE(::fcntl(event, F_GETFD), -1);
  }).join();
  EXPECT_EQ(test::open_descriptors(), before);  // waits until all is closed, by threads that can be had here
  EXPECT_FALSE(deferred::full());
}

// So that memory does not pile up; the file's pages are freed by whoever closes the file.
TEST(DeferredThreads, WithoutThreadsMemoryIsUnmappedAtOnce) {
  ASSERT_TRUE(eventually([] { return closing_threads() == 0; }));
  void* const memory = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  std::thread([&] {
    test::refuse_threads();
    deferred::unmap(memory, 4096, good_user, Place(Kind::memory));
    EXPECT_EQ(::msync(memory, 4096, MS_ASYNC), -1);
    EXPECT_EQ(errno, ENOMEM);
  }).join();
}

// With a listener or a client there are threads already, so that nothing comes of it when there are to be no more.
TEST(DeferredThreads, ThreadsAreThereBeforeTheyCannotBeHad) {
  ASSERT_TRUE(eventually([] { return closing_threads() == 0; }));
  {
    const deferred::Helpers helpers;
    ASSERT_TRUE(eventually([] { return threads_named("memif-idle") == 4; }));
    const Watched strange;
    const int event = ::eventfd(0, EFD_CLOEXEC), signalled = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    void* const memory = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    std::thread([&] {
      test::refuse_threads();
      close(strange.give(), good_user, Kind::strange);
      close(event, good_user, Kind::eventfd);
      deferred::signal(signalled, good_user);
      deferred::unmap(memory, 4096, good_user, Place(Kind::memory));
      EXPECT_TRUE(eventually([&] { return strange.closed() && ::fcntl(event, F_GETFD) == -1; }));
      EXPECT_TRUE(eventually([&] { return ::msync(memory, 4096, MS_ASYNC) == -1; }));
      pollfd entry{signalled, POLLIN, 0};
      EXPECT_EQ(::poll(&entry, 1, 20'000), 1);
    }).join();
    close(signalled, good_user, Kind::eventfd);
    EXPECT_TRUE(eventually([] { return threads_named("memif-idle") == 4; }));
  }
  EXPECT_TRUE(eventually([] { return threads_named("memif-idle") + closing_threads() == 0; }));
}

// Whatever strangers leave behind, and however many they are: all threads for that wait.
TEST(DeferredThreads, StrangeDescriptorsDelayNothingElse) {
  std::vector<Lingering> lingering(40);
  for (std::size_t i = 0; i < lingering.size(); ++i)
    close(lingering[i].give(), i < 8 ? good_user : static_cast<uid_t>(5000 + i / 4), Kind::strange);
  ASSERT_TRUE(eventually([] { return closing_threads() >= 32; }));
  const int event = ::eventfd(0, EFD_CLOEXEC), signalled = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  void* const memory = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  close(event, good_user, Kind::eventfd);
  deferred::signal(signalled, good_user);
  deferred::unmap(memory, 4096, good_user, Place(Kind::memory));
  EXPECT_TRUE(eventually([&] { return ::fcntl(event, F_GETFD) == -1 && deferred::unmapping(good_user) == 0; }));
  pollfd entry{signalled, POLLIN, 0};
  EXPECT_EQ(::poll(&entry, 1, 20'000), 1);
  close(signalled, good_user, Kind::eventfd);
}

// What is still to be unmapped is known, so that it can be counted with what is new.
TEST(DeferredThreads, BytesThatWaitToBeUnmappedAreKnown) {
  std::vector<Lingering> slow(4);
  for (Lingering& one : slow) close(one.give(), bad_user, Kind::memory);
  void* const memory = ::mmap(nullptr, 8192, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  deferred::unmap(memory, 8192, bad_user, Place(Kind::memory));
  EXPECT_EQ(deferred::unmapping(bad_user), 8192u);
  EXPECT_EQ(deferred::unmapping(good_user), 0u);
  slow.clear();
  EXPECT_TRUE(eventually([] { return deferred::unmapping(bad_user) == 0; }));
}

// There is a place for what has had one from the start, and what has none is rather left open than waited for.
TEST(DeferredThreads, NothingIsEverDoneByTheCaller) {
  std::vector<Place> places;
  for (;;) {
    Place place(Kind::strange);
    if (!place) break;
    places.push_back(std::move(place));
  }
  EXPECT_TRUE(deferred::full());
  const std::size_t lost = deferred::lost();
  const Watched surplus, expected;
  close(surplus.give(), good_user, Kind::strange);
  EXPECT_EQ(deferred::lost(), lost + 1);
  EXPECT_FALSE(surplus.closed());
  deferred::close(expected.give(), good_user, std::move(places.back()));
  EXPECT_EQ(deferred::lost(), lost + 1);
  EXPECT_TRUE(eventually([&] { return expected.closed(); }));
  places.clear();
  EXPECT_FALSE(deferred::full());
  ::close(surplus.give());
}

// Long before one of them is known to take long.
TEST(DeferredThreads, AUserWhoSendsManyStrangeOnesAtOnceIsNotBelievedThatTheyAreClosedSoon) {
  std::vector<Lingering> lingering(70);
  for (Lingering& one : lingering) close(one.give(), bad_user, Kind::strange);
  EXPECT_TRUE(deferred::overloaded(bad_user));
  EXPECT_FALSE(deferred::overloaded(good_user));
  lingering.clear();
  EXPECT_TRUE(eventually([] { return !deferred::overloaded(bad_user); }));
}

// Each of them may be done soon, and they are none of a kind that no good peer sends.
TEST(DeferredThreads, AUserWhoseOwnWaitLongIsKeptFromFillingTheProcess) {
  std::vector<Lingering> lingering(2);
  for (Lingering& one : lingering) close(one.give(), bad_user, Kind::memory);
  for (int i = 0; i < 70; ++i) close(::eventfd(0, EFD_CLOEXEC), bad_user, Kind::memory);
  EXPECT_TRUE(eventually([] { return deferred::overloaded(bad_user); }));
  EXPECT_FALSE(deferred::overloaded(good_user));
  const test::DescriptorLimit limit(200);
  EXPECT_FALSE(deferred::full());
  lingering.clear();
  EXPECT_TRUE(eventually([] { return !deferred::overloaded(bad_user) && deferred::outstanding() == 0; }));
}

// Not of the tests for ThreadSanitizer, which allows no threads after such a fork().
TEST(DeferredFork, ChildOfAForkClosesWhatItInherits) {
  Lingering lingering;
  close(lingering.give(), bad_user, Kind::strange);
  ASSERT_TRUE(eventually([] { return closing_threads() == 1; }));
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(20);
    const Watched own;
    close(own.give(), good_user, Kind::strange);
    ::_exit(eventually([&] { return own.closed(); }) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace memif
