// Whoever publishes slowly, under many names, or as somebody else: observers are held up by nobody.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <memif/memif.hpp>

#include "observe/process_file.hpp"
#include "observe/published.hpp"
#include "support/traced.hpp"
#include "unit/observe/observe_fixture.hpp"

namespace memif {
namespace {

using test::Damaged;
using test::Published;

// Whoever touches a mapping waits while somebody punches a hole into the file, which can take seconds.
TEST(Observe, NothingOfAProgramIsMapped) {
  Published pair;
  ASSERT_TRUE(pair.connect());
  unsigned mappings = 0, reads = 0;
  const auto body = [program = ::getpid()] {
    const Observation seen = observe(program).value();
    const auto with_a_ring = std::count_if(
        seen.interfaces.begin(), seen.interfaces.end(),
        [](const ObservedInterface& one) { return !one.rx.empty() && one.rx[0].ring && one.rx[0].ring->live; });
    return static_cast<int>(with_a_ring);
  };
  const int seen = test::run_traced(body, [&](pid_t observer) {
    __ptrace_syscall_info call{};
    ::ptrace(PTRACE_GET_SYSCALL_INFO, observer, sizeof call, &call);
    if (call.op != PTRACE_SYSCALL_INFO_ENTRY) return;
    mappings += call.entry.nr == SYS_mmap && (call.entry.args[3] & MAP_SHARED) != 0 ? 1 : 0;
    reads += call.entry.nr == SYS_pread64 ? 1 : 0;
  });
  if (seen == test::cannot_be_traced) GTEST_SKIP() << "no tracing here";
  EXPECT_EQ(seen, 2);
  EXPECT_EQ(mappings, 0u);
  EXPECT_GE(reads, 4u);
}

// What takes long without a processor's time, whatever makes it so.
TEST_F(Damaged, ASlowLookEnds) {
  constexpr int all = 200;
  std::vector<Fd> files;
  for (int i = 0; i < all; ++i) files.push_back(publish(identity()));
  const auto body = [program = ::getpid()] {
    const Observation seen = observe(program).value();
    return seen.skipped == 1 && seen.why->message.find("more than is looked at") != std::string::npos
               ? static_cast<int>(seen.interfaces.size())
               : 255;
  };
  const int seen = test::run_traced(body, [](pid_t) { std::this_thread::sleep_for(std::chrono::milliseconds(2)); });
  if (seen == test::cannot_be_traced) GTEST_SKIP() << "no tracing here";
  EXPECT_LT(seen, all);
}

// Processes of other users that have `files` files each of that name, and one that publishes an interface.
class ManyUsers : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "becoming other users needs root";
    ASSERT_EQ(::pipe2(ready_.data(), O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(end_.data(), O_CLOEXEC), 0);
  }
  ~ManyUsers() override {
    for (const int end : {ready_[0], ready_[1], end_[0], end_[1]}) ::close(end);
    for (const pid_t child : children_) ::waitpid(child, nullptr, 0);
  }

  template <class Body>
  pid_t start(uid_t user, Body body) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(end_[1]);
      char byte = 0;
      if (::setresuid(user, user, user) == 0) {
        const auto held = body();
        static_cast<void>(!::write(ready_[1], &byte, 1));
        static_cast<void>(!::read(end_[0], &byte, 1));
      }
      ::_exit(0);
    }
    children_.push_back(child);
    char byte = 0;
    EXPECT_EQ(::read(ready_[0], &byte, 1), 1);
    return child;
  }

  std::array<int, 2> ready_{-1, -1}, end_{-1, -1};
  std::vector<pid_t> children_;
};

TEST_F(ManyUsers, OfOnePersonLeaveSomethingForTheOthers) {
  constexpr int files = 900;  // of a process: 1024 descriptors are what it may have
  for (uid_t user = 63001; user <= 63005; ++user)
    for (int process = 0; process < 5; ++process)
      start(user, [] {
        std::vector<Fd> held;
        for (int i = 0; i < files; ++i) held.emplace_back(::memfd_create(published::file_name, MFD_CLOEXEC));
        return held;
      });
  const pid_t victim = start(63010, [] {
    auto context = std::make_unique<Context>(ContextConfig{.app_name = "victim", .publish = true});
    context->add({.socket = "@nobody-listens-here"});
    return context;
  });
  const Observation seen = observe_all();
  EXPECT_EQ(std::count_if(seen.interfaces.begin(), seen.interfaces.end(),
                          [&](const ObservedInterface& one) { return one.program.pid == victim; }),
            1);
  EXPECT_GT(seen.skipped, 1000u);  // far more than a share of each
}

// A lease makes whoever opens the file wait for its holder, 45 seconds at most for each.
TEST(Observe, NobodyWaitsForALease) {
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGIO, SIG_IGN);
    const int made = ::memfd_create(published::file_name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const int file = ::open(("/proc/self/fd/" + std::to_string(made)).c_str(), O_RDWR | O_CLOEXEC);
    ::close(made);
    const bool leased = ::ftruncate(file, 4096) == 0 && ::fcntl(file, F_SETLEASE, F_WRLCK) == 0;
    static_cast<void>(!::write(ready[1], leased ? "y" : "n", 1));
    ::pause();
    ::_exit(0);
  }
  char leased = 0;
  EXPECT_EQ(::read(ready[0], &leased, 1), 1);
  const auto began = std::chrono::steady_clock::now();
  const auto seen = observe(child);
  const auto took = std::chrono::steady_clock::now() - began;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (const int end : ready) ::close(end);
  EXPECT_TRUE(seen);
  EXPECT_LT(took, std::chrono::seconds(10));
  if (leased != 'y') GTEST_SKIP() << "no leases here";
}

// What is spent on looking at a program is its user's, also if the program has more rights, as `su` has.
TEST(Observe, AProgramIsItsRealUsers) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be another user";
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool other = ::setresgid(1235, 0, 0) == 0 && ::setresuid(1234, 0, 0) == 0;
    static_cast<void>(!::write(ready[1], other ? "y" : "n", 1));
    ::pause();
    ::_exit(0);
  }
  char other = 0;
  EXPECT_EQ(::read(ready[0], &other, 1), 1);
  EXPECT_EQ(other, 'y');
  const auto seen = detail::credentials_of(child);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (const int end : ready) ::close(end);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->uid, 1234u);
  EXPECT_EQ(seen->gid, 1235u);
  EXPECT_EQ(detail::credentials_of(child).error().code, std::errc::no_such_process);
}

}  // namespace
}  // namespace memif
