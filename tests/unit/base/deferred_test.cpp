// Closing what other processes have, too: whatever one of them does, the others' are closed, and nothing piles up.
#include "base/deferred.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <memif/fd.hpp>

#include "support/lingering.hpp"
#include "support/resources.hpp"

namespace memif {
namespace {

using namespace std::chrono_literals;
using deferred::Closing;
using test::Lingering;

constexpr uid_t bad_user = 4000, good_user = 4001;

std::size_t closing_threads() {
  std::size_t count = 0;
  std::error_code gone;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", gone)) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    count += name == "memif-close" ? 1 : 0;
  }
  return count;
}

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
  for (int i = 0; i < 500; ++i) deferred::close(::eventfd(0, EFD_CLOEXEC), good_user, Closing::eventfd);
  EXPECT_TRUE(eventually([] { return closing_threads() == 0; }));
  EXPECT_EQ(test::open_descriptors(), before);
}

TEST(DeferredThreads, CallerDoesNotWait) {
  Lingering lingering;
  const auto begin = std::chrono::steady_clock::now();
  deferred::close(lingering.give(), bad_user, Closing::whatever);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
}

TEST(DeferredThreads, OneUsersLongClosesHoldUpNobodyElse) {
  {
    std::vector<Lingering> lingering(100);
    for (Lingering& one : lingering) deferred::close(one.give(), bad_user, Closing::whatever);
    const Watched of_good_user;
    deferred::close(of_good_user.give(), good_user, Closing::whatever);
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

TEST(DeferredThreads, ManyUsersLongClosesAreLimited) {
  {
    std::vector<Lingering> lingering(60);
    uid_t user = bad_user;
    for (Lingering& one : lingering) deferred::close(one.give(), user++, Closing::whatever);
    EXPECT_TRUE(eventually([] { return closing_threads() == 32; }));
    EXPECT_EQ(closing_threads(), 32u);
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
    deferred::close(fd, good_user, Closing::eventfd);
  }
  EXPECT_EQ(test::open_descriptors(), before);
}

// The calling thread starts none from now on, as where a limit is reached or a sandbox forbids it.
void refuse_threads() {
  std::array code{sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                  sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
                  sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
                  sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
                  sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog filter{static_cast<unsigned short>(code.size()), code.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0)
    std::abort();
}

// Not even eventfds, which a peer may have in an epoll set that makes close() wait.
TEST(DeferredThreads, WithoutThreadsAllIsClosedLater) {
  ASSERT_TRUE(eventually([] { return closing_threads() == 0; }));
  const Watched unknown;
  const int event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const int copy = ::fcntl(event, F_DUPFD_CLOEXEC, 0);
  std::thread([&] {
    refuse_threads();
    deferred::close(unknown.give(), good_user, Closing::whatever);
    deferred::close(copy, good_user, Closing::eventfd);
    deferred::signal(event, good_user);
  }).join();
  EXPECT_FALSE(unknown.closed());
  EXPECT_NE(::fcntl(copy, F_GETFD), -1);
  EXPECT_FALSE(deferred::full());  // a later attempt
  EXPECT_TRUE(eventually([&] { return unknown.closed() && ::fcntl(copy, F_GETFD) == -1; }));
  pollfd signalled{event, POLLIN, 0};
  EXPECT_EQ(::poll(&signalled, 1, 20'000), 1);
  deferred::close(event, good_user, Closing::eventfd);
  EXPECT_TRUE(eventually([&] { return ::fcntl(event, F_GETFD) == -1; }));
}

// As long as no thread can be had, descriptors do not add up without end.
TEST(DeferredThreads, WithoutThreadsTooManyEventfdsAreClosedByTheCaller) {
  ASSERT_TRUE(eventually([] { return closing_threads() == 0; }));
  const std::size_t before = test::open_descriptors();
  std::thread([&] {
    refuse_threads();
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const rlimit tight{.rlim_cur = 400, .rlim_max = limit.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &tight);
    for (int i = 0; i < 1000; ++i) {
      const int event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
      ASSERT_GE(event, 0) << i;
      deferred::close(event, good_user, Closing::eventfd);
    }
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }).join();
  EXPECT_EQ(test::open_descriptors(), before);
}

// Long before one of them is known to take long.
TEST(DeferredThreads, AUserWhoSendsManyStrangeOnesAtOnceIsNotBelievedThatTheyAreClosedSoon) {
  std::vector<Lingering> lingering(70);
  for (Lingering& one : lingering) deferred::close(one.give(), bad_user, Closing::whatever);
  EXPECT_TRUE(deferred::overloaded(bad_user));
  EXPECT_FALSE(deferred::overloaded(good_user));
  lingering.clear();
  EXPECT_TRUE(eventually([] { return !deferred::overloaded(bad_user); }));
}

// Not of the tests for ThreadSanitizer, which allows no threads after such a fork().
TEST(DeferredFork, ChildOfAForkClosesWhatItInherits) {
  Lingering lingering;
  deferred::close(lingering.give(), bad_user, Closing::whatever);
  ASSERT_TRUE(eventually([] { return closing_threads() == 1; }));
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(20);
    const Watched own;
    deferred::close(own.give(), good_user, Closing::whatever);
    ::_exit(eventually([&] { return own.closed(); }) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace memif
