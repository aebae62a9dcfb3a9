#include "memory/interrupt.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "support/resources.hpp"

namespace memif {
namespace {

constexpr std::uint64_t full = 0xfffffffffffffffe;

bool put(int fd, std::uint64_t value) { return ::write(fd, &value, sizeof value) == sizeof value; }

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

std::size_t open_fds() { return test::open_descriptors(); }

TEST(Interrupt, SignalIsSeenOnce) {
  const auto fd = make_interrupt();
  ASSERT_TRUE(fd);
  EXPECT_TRUE(::fcntl((*fd).get(), F_GETFD) & FD_CLOEXEC);
  EXPECT_FALSE(drain_interrupt((*fd).get()));
  signal_interrupt((*fd).get());
  signal_interrupt((*fd).get());
  EXPECT_TRUE(readable((*fd).get()));
  EXPECT_TRUE(drain_interrupt((*fd).get()));
  EXPECT_FALSE(drain_interrupt((*fd).get()));
}

TEST(Interrupt, ManySignalsWithoutADrainAllWork) {
  const auto fd = make_interrupt();
  ASSERT_TRUE(fd);
  for (int i = 0; i < 20000; ++i) signal_interrupt((*fd).get());
  std::uint64_t count = 0;
  ASSERT_EQ(::read((*fd).get(), &count, sizeof count), 8);
  EXPECT_EQ(count, 20000u);
}

TEST(Interrupt, AdoptedEventfdIsNonBlockingCloseOnExecAndUntouched) {
  auto fd = adopt_interrupt(Fd(::eventfd(3, 0)));
  ASSERT_TRUE(fd) << fd.error().message;
  EXPECT_TRUE(::fcntl((*fd).get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(::fcntl((*fd).get(), F_GETFD) & FD_CLOEXEC);
  std::uint64_t count = 0;
  ASSERT_EQ(::read((*fd).get(), &count, sizeof count), 8);
  EXPECT_EQ(count, 3u);
}

// The peer shares the open file, so it can undo O_NONBLOCK: nothing may hang all the same.
TEST(Interrupt, BlockingEventfdBlocksNobody) {
  auto fd = adopt_interrupt(Fd(::eventfd(0, EFD_CLOEXEC)));
  ASSERT_TRUE(fd);
  const int raw = (*fd).get();
  ASSERT_EQ(::fcntl(raw, F_SETFL, 0), 0);
  EXPECT_FALSE(drain_interrupt(raw));
  ASSERT_TRUE(put(raw, full));
  signal_interrupt(raw);
  signal_interrupt(raw);
  EXPECT_TRUE(readable(raw));
  EXPECT_TRUE(drain_interrupt(raw));
  EXPECT_FALSE(drain_interrupt(raw));
}

// A peer that fills and empties the counter of a blocking eventfd as fast as it can, then stops reading forever.
TEST(Interrupt, RacingPeerBlocksNobody) {
  auto fd = adopt_interrupt(Fd(::eventfd(0, EFD_CLOEXEC)));
  ASSERT_TRUE(fd);
  const int raw = (*fd).get();
  std::atomic<bool> stop{false};
  std::thread peer([raw, &stop] {
    while (!stop) {
      ::fcntl(raw, F_SETFL, O_NONBLOCK);
      std::uint64_t count;
      [[maybe_unused]] const auto got = ::read(raw, &count, sizeof count);
      put(raw, full);
      ::fcntl(raw, F_SETFL, 0);
    }
  });
  for (int i = 0; i < 20000; ++i) {
    signal_interrupt(raw);
    drain_interrupt(raw);
  }
  stop = true;
  peer.join();
}

TEST(Interrupt, SignalsFromManyThreadsAllArrive) {
  const auto fd = make_interrupt();
  ASSERT_TRUE(fd);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 5000; ++j) signal_interrupt((*fd).get());
    });
  }
  for (auto& thread : threads) thread.join();
  std::uint64_t count = 0;
  ASSERT_EQ(::read((*fd).get(), &count, sizeof count), 8);
  EXPECT_EQ(count, 20000u);
}

TEST(Interrupt, WorksInTheChildOfAFork) {
  const auto fd = make_interrupt();
  ASSERT_TRUE(fd);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(20);  // a child that hangs dies
    const auto own = adopt_interrupt(Fd(::eventfd(0, EFD_CLOEXEC)));
    if (!own || ::fcntl((*own).get(), F_SETFL, 0) != 0 || !put((*own).get(), full)) ::_exit(1);
    signal_interrupt((*own).get());
    signal_interrupt((*fd).get());
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(drain_interrupt((*fd).get()));
}

// As in a sandbox or an early container: the kernel itself must do as a witness.
TEST(Interrupt, IsProvedWithoutProc) {
  if (::geteuid() != 0) GTEST_SKIP() << "hiding /proc needs root";
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(20);
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/proc", nullptr, MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", "/proc", "tmpfs", 0, nullptr) != 0) {
      ::_exit(77);
    }
    const bool real = adopt_interrupt(Fd(::eventfd(0, 0))).ok();
    const bool timer = adopt_interrupt(Fd(::timerfd_create(CLOCK_MONOTONIC, 0))).ok();
    const bool socket = adopt_interrupt(Fd(::socket(AF_UNIX, SOCK_STREAM, 0))).ok();
    const bool file = adopt_interrupt(Fd(::memfd_create("x", 0))).ok();
    ::_exit(real && !timer && !socket && !file ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "cannot hide /proc here";
  EXPECT_EQ(status, 0);
}

// --- Without asynchronous I/O: all that the machine has is in use, or a sandbox forbids it

// For the calling thread and those that it starts. Their writes can be seen and held at the descriptor returned.
int refuse_aio(bool hold_writes) {
  std::array code{sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                  sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_setup, 0, 1),
                  sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
                  sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, hold_writes ? SYS_write : ~0u, 0, 1),
                  sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
                  sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog filter{static_cast<unsigned short>(code.size()), code.data()};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const long made = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
  if (made < 0) ::_exit(3);
  return static_cast<int>(made);
}

// A child of fork() still sees its parent's.
std::size_t aio_contexts() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) count += line.find("[aio]") != std::string::npos ? 1 : 0;
  return count;
}

// In a child, which has none yet; one that hangs dies.
int child_that(const std::function<bool()>& does) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(30);
    ::_exit(does() ? 0 : 1);
  }
  int status = -1;
  ::waitpid(pid, &status, 0);
  return status;
}

bool eventually(const std::function<bool()>& done) {
  for (int i = 0; i < 10'000; ++i) {
    if (done()) return true;
    ::poll(nullptr, 0, 1);
  }
  return false;
}

TEST(InterruptWithoutAio, EverySignalIsSeen) {
  EXPECT_EQ(child_that([] {
              const std::size_t before = aio_contexts();
              ::close(refuse_aio(/*hold_writes=*/false));
              const auto fd = make_interrupt();
              for (int i = 0; i < 200; ++i) {
                signal_interrupt(fd->get());
                if (!eventually([&] { return drain_interrupt(fd->get()); })) return false;
              }
              return aio_contexts() == before;
            }),
            0);
}

// At the last moment before a write: the peer makes the eventfd blocking, and its counter full.
TEST(InterruptWithoutAio, PeerThatWinsTheRaceBlocksNobody) {
  EXPECT_EQ(child_that([] {
              const auto fd = adopt_interrupt(Fd(::eventfd(0, EFD_CLOEXEC)));
              std::atomic<int> writes{-1};
              std::atomic<bool> done{false};
              std::thread([&] {
                writes = refuse_aio(/*hold_writes=*/true);
                signal_interrupt(fd->get());
                done = true;
              }).detach();
              while (writes < 0) std::this_thread::yield();
              pollfd entry{writes, POLLIN, 0};
              seccomp_notif call{};
              if (::poll(&entry, 1, 10'000) != 1 || ::ioctl(writes, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) return false;
              if (::fcntl(fd->get(), F_SETFL, 0) != 0 || !put(fd->get(), full)) return false;
              seccomp_notif_resp go_on{.id = call.id, .val = 0, .error = 0, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
              if (::ioctl(writes, SECCOMP_IOCTL_NOTIF_SEND, &go_on) != 0) return false;
              const bool waited_for = !eventually([&] { return done.load(); });
              ::_exit(waited_for ? 2 : 0);  // somebody still waits
            }),
            0);
}

// A user's writes that wait for its peers take two threads and 64 places. Those beyond are dropped, others' are not.
TEST(InterruptWithoutAio, AUsersSignalsThatWaitAreLimited) {
  EXPECT_EQ(child_that([] {
              constexpr uid_t slow = 4000, other = 4001;
              std::vector<Fd> events;
              for (int i = 0; i < 103; ++i) events.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
              std::atomic<int> writes{-1};
              std::atomic<bool> held{false}, done{false};
              std::thread([&] {
                writes = refuse_aio(/*hold_writes=*/true);
                for (std::size_t i = 0; i < 2; ++i) signal_interrupt(events[i].get(), slow);
                while (!held) std::this_thread::yield();
                for (std::size_t i = 2; i < 102; ++i)
                  for (int again = 0; again < 10; ++again) signal_interrupt(events[i].get(), slow);
                signal_interrupt(events[102].get(), other);
                done = true;
              }).detach();
              while (writes < 0) std::this_thread::yield();
              std::vector<seccomp_notif> calls;
              const auto hold = [&] {
                pollfd entry{writes, POLLIN, 0};
                seccomp_notif call{};
                if (::poll(&entry, 1, 10'000) != 1 || ::ioctl(writes, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) ::_exit(4);
                calls.push_back(call);
              };
              const auto let_go = [&] {
                for (const seccomp_notif& call : std::exchange(calls, {})) {
                  seccomp_notif_resp on{.id = call.id, .val = 0, .error = 0, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
                  if (::ioctl(writes, SECCOMP_IOCTL_NOTIF_SEND, &on) != 0) ::_exit(5);
                }
              };
              hold(), hold();
              ::poll(nullptr, 0, 150);  // a call that takes a tenth of a second is one that takes long
              held = true;
              hold();
              if (!eventually([&] { return done.load(); }) || deferred::outstanding() != 2 + 64 + 1) ::_exit(6);
              let_go();
              for (int i = 0; i < 64; ++i) hold(), let_go();
              if (!eventually([] { return deferred::outstanding() == 0; })) ::_exit(7);
              int signalled = 0;
              for (const Fd& event : events) signalled += drain_interrupt(event.get()) ? 1 : 0;
              return signalled == 2 + 64 + 1;
            }),
            0);
}

// The thread that is refused is not the one that tries again.
TEST(InterruptWithoutAio, ItIsTriedAgain) {
  EXPECT_EQ(child_that([] {
              Fd fd;
              const std::size_t before = aio_contexts();
              std::thread([&] {
                ::close(refuse_aio(/*hold_writes=*/false));
                fd = std::move(*make_interrupt());
              }).join();
              return aio_contexts() == before && eventually([&] {
                       signal_interrupt(fd.get());
                       return aio_contexts() > before;
                     });
            }),
            0);
}

TEST(Interrupt, BadDescriptorDoesNothing) {
  signal_interrupt(-1);
  EXPECT_FALSE(drain_interrupt(-1));
}

struct Impostor {
  const char* name;
  std::function<int()> make;
};

class InterruptImpostor : public testing::TestWithParam<Impostor> {};

TEST_P(InterruptImpostor, IsRefusedAndClosed) {
  ASSERT_TRUE(make_interrupt());  // the process's one-time set-up is not a leak
  const std::size_t before = open_fds();
  {
    Fd fd(GetParam().make());
    ASSERT_TRUE(fd) << "cannot make one here";
    const auto adopted = adopt_interrupt(std::move(fd));
    ASSERT_FALSE(adopted);
    EXPECT_EQ(adopted.error().code, Errc::not_an_eventfd);
  }
  EXPECT_EQ(open_fds(), before);
}

int one_of(int pair[2], int keep) {
  ::close(pair[1 - keep]);
  return pair[keep];
}

sigset_t no_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  return set;
}

const Impostor impostors[] = {
    {"PipeReadEnd",
     [] {
       int pair[2] = {-1, -1};
       EXPECT_EQ(::pipe2(pair, O_CLOEXEC), 0);
       return one_of(pair, 0);
     }},
    {"PipeWriteEnd",
     [] {
       int pair[2] = {-1, -1};
       EXPECT_EQ(::pipe2(pair, O_CLOEXEC), 0);
       return one_of(pair, 1);
     }},
    {"Socket", [] { return ::socket(AF_UNIX, SOCK_STREAM, 0); }},
    {"Directory", [] { return ::open("/", O_RDONLY | O_DIRECTORY); }},
    {"PathOnly", [] { return ::open("/", O_PATH); }},
    {"DevZero", [] { return ::open("/dev/zero", O_RDWR); }},
    {"DevNull", [] { return ::open("/dev/null", O_RDWR); }},
    {"Timer", [] { return ::timerfd_create(CLOCK_MONOTONIC, 0); }},
    {"Inotify", [] { return ::inotify_init1(0); }},
    {"Signalfd",
     [] {
       const sigset_t set = no_signals();
       return ::signalfd(-1, &set, 0);
     }},
    {"MemoryFile", [] { return ::memfd_create("anon_inode:[eventfd]", 0); }},
    {"FileOfThatName",
     [] {
       const int fd = ::open("/tmp/anon_inode:[eventfd]", O_CREAT | O_RDWR, 0600);
       ::unlink("/tmp/anon_inode:[eventfd]");
       return fd;
     }},
};

INSTANTIATE_TEST_SUITE_P(Kinds, InterruptImpostor, testing::ValuesIn(impostors),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(Interrupt, NoDescriptorIsNotAnEventfd) {
  const auto adopted = adopt_interrupt(Fd());
  ASSERT_FALSE(adopted);
  EXPECT_EQ(adopted.error().code, Errc::not_an_eventfd);
}

}  // namespace
}  // namespace memif
