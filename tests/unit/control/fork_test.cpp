// Programs that fork: children that go on with contexts of their own, and what they inherit.
#include <array>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <memif/detail/asymmetric_fence.hpp>
#include <memif/fd.hpp>
#include <memif/observe.hpp>

#include "memory/interrupt.hpp"
#include "memory/sigbus.hpp"
#include "support/pair.hpp"

namespace memif {
namespace {

using test::Pair;
using namespace std::chrono_literals;

constexpr std::array<std::byte, 64> payload{};

// The status of a child that does this; one that hangs dies.
int in_child(const std::function<bool()>& what) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(20);
    ::_exit(what() ? 0 : 1);
  }
  int status = -1;
  ::waitpid(pid, &status, 0);
  return status;
}

bool passes_packets(Pair& pair) {
  std::array<Buffer, 4> buffers;
  for (int i = 0; i < 3; ++i)
    if (!pair.client->tx(0).send_copy(payload) || !pair.server->rx(0).wait(10s) ||
        pair.server->rx(0).receive(buffers).size() != 1)
      return false;
  return true;
}

bool works_by_itself(RxMode mode) {
  Pair own({.socket = "", .rx_mode = mode});
  return own.connect() && passes_packets(own);
}

// --- In the middle of what is done once a process ---

// A thread that stops at its first system call of one kind, seen from another thread.
class HeldThread {
 public:
  HeldThread(int system_call, std::function<void()> what)
      : thread_([this, system_call, what = std::move(what)] {
          install(system_call);
          what();
        }) {
    while (listener_.load() < 0) std::this_thread::yield();
    pollfd called{listener_, POLLIN, 0};
    held_ = ::poll(&called, 1, 10'000) == 1 && ::ioctl(listener_, SECCOMP_IOCTL_NOTIF_RECV, &call_) == 0;
  }
  ~HeldThread() {
    seccomp_notif_resp go_on{.id = call_.id, .val = 0, .error = 0, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    if (held_) ::ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, &go_on);
    ::close(listener_);  // no further call is held
    thread_.join();
  }
  HeldThread(const HeldThread&) = delete;
  HeldThread& operator=(const HeldThread&) = delete;

  bool held() const { return held_; }

 private:
  void install(int system_call) {
    std::array code{sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(system_call), 0, 1),
                    sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
                    sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    sock_fprog filter{static_cast<unsigned short>(code.size()), code.data()};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    const long made = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
    if (made < 0) std::perror("seccomp"), std::abort();
    listener_ = static_cast<int>(made);
  }

  std::atomic<int> listener_{-1};
  seccomp_notif call_{};
  bool held_ = false;
  std::thread thread_;
};

// What is done once a process needs a process in which it was not done yet.
class ForkInTheMiddle : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  static void fork_during(int system_call, void (*what)()) {
    int status = -1;
    bool held = false;
    {
      const HeldThread thread(system_call, what);
      held = thread.held();
      status = in_child([what] {
        what();
        return works_by_itself(RxMode::polling) && works_by_itself(RxMode::interrupt);
      });
    }
    if (status != 0) std::fprintf(stderr, "the child's status is %d\n", status);
    ::_exit(held && status == 0 && works_by_itself(RxMode::polling) ? 0 : 1);
  }
};

TEST_F(ForkInTheMiddle, OfTheRegistrationForFences) {
  EXPECT_EXIT(fork_during(SYS_membarrier, [] { detail::have_asymmetric_fence(); }), testing::ExitedWithCode(0), "");
}

TEST_F(ForkInTheMiddle, OfOpeningWhatInterruptsAreMadeWith) {
  EXPECT_EXIT(fork_during(SYS_openat, [] { static_cast<void>(make_interrupt()); }), testing::ExitedWithCode(0), "");
}

TEST_F(ForkInTheMiddle, OfSettingUpInterrupts) {
  EXPECT_EXIT(fork_during(SYS_io_setup, [] { static_cast<void>(make_interrupt()); }), testing::ExitedWithCode(0), "");
}

TEST(Fork, WhileAThreadGuardsMemory) {
  std::atomic<bool> stop{false};
  const std::size_t page = 4096;
  std::array<std::byte, page> memory;
  const auto guard = [&] { return FaultGuard::protect(memory.data(), page, page).ok(); };
  std::thread thread([&] {
    while (!stop) guard();
  });
  int failed = 0;
  for (int i = 0; i < 100 && failed == 0; ++i) failed = in_child(guard);
  EXPECT_EQ(failed, 0);
  stop = true;
  thread.join();
}

// --- Children that go on ---

TEST(Fork, AChildHasLinksOfItsOwnBeforeAndAfterItsParentDoes) {
  EXPECT_EQ(in_child([] { return works_by_itself(RxMode::polling) && works_by_itself(RxMode::interrupt); }), 0);
  Pair pair({.socket = "", .rx_mode = RxMode::polling});
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(passes_packets(pair));
  EXPECT_EQ(in_child([] { return works_by_itself(RxMode::polling) && works_by_itself(RxMode::interrupt); }), 0);
  EXPECT_TRUE(passes_packets(pair));
}

TEST(Fork, AChildIsRegisteredForFencesAsItsParentIs) {
  if (!detail::have_asymmetric_fence()) GTEST_SKIP() << "this system has no asymmetric fences";
  constexpr int get_registrations = 1 << 9;  // since Linux 6.3
  const auto registered = [] {
    const long commands = ::syscall(SYS_membarrier, get_registrations, 0, 0);
    return commands < 0 || (commands & MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) != 0;
  };
  EXPECT_TRUE(registered());
  EXPECT_EQ(in_child(registered), 0);
}

TEST(Fork, AChildThatCleansUpLeavesItsParentsLinksAlone) {
  auto pair = std::make_unique<Pair>();
  ASSERT_TRUE(pair->connect());
  EXPECT_EQ(in_child([&] {
              pair.reset();
              return works_by_itself(RxMode::interrupt);
            }),
            0);
  EXPECT_EQ(in_child([&] {
              pair->server_context.remove(*pair->server);
              pair->client_context.remove(*pair->client);
              return true;
            }),
            0);
  for (int i = 0; i < 3; ++i) {
    pair->server_context.poll(0ms);
    pair->client_context.poll(0ms);
  }
  EXPECT_TRUE(pair->server->connected() && pair->client->connected());
  EXPECT_TRUE(passes_packets(*pair));
  // Its loop still sees what its peer says.
  pair->client->disconnect();
  EXPECT_TRUE(test::poll_until({&pair->server_context}, [&] { return !pair->server->connected(); }));
}

TEST(Fork, AChildThatCleansUpLeavesWhatItsParentPublishes) {
  auto context = std::make_unique<Context>(ContextConfig{.publish = true});
  context->add({.socket = test::unique_socket(), .role = Role::server});
  ASSERT_EQ(observe(::getpid()).value().interfaces.size(), 1u);
  EXPECT_EQ(in_child([&] {
              context.reset();
              return true;
            }),
            0);
  EXPECT_EQ(observe(::getpid()).value().interfaces.size(), 1u);
}

TEST(Fork, AChildThatCleansUpLeavesItsParentsTimerAlone) {
  Context context{{.app_name = "waits"}};
  const std::string socket = test::unique_socket();
  Interface& client = context.add({.socket = socket, .role = Role::client, .reconnect = 200ms});
  auto copy = std::make_unique<Context>(std::move(context));
  EXPECT_EQ(in_child([&] {
              copy.reset();
              return true;
            }),
            0);
  Context server{{.app_name = "late"}};
  server.add({.socket = socket, .role = Role::server});
  EXPECT_TRUE(test::poll_until({copy.get(), &server}, [&] { return client.connected(); }));
}

TEST(Fork, AChildCleansUpWhileAThreadOfItsParentWaits) {
  auto context = std::make_unique<Context>();
  Interface& waiting = context->add({.socket = test::unique_socket(), .role = Role::server});
  const auto queue = waiting.share_rx(0);
  std::atomic<int> waits{0};
  std::atomic<bool> stop{false};
  std::thread thread([&] {
    for (; !stop; ++waits) queue->wait(5ms);
  });
  for (int i = 0; i < 20; ++i) {
    while (waits <= i) std::this_thread::yield();
    EXPECT_EQ(in_child([&] {
                context.reset();
                return true;
              }),
              0);
  }
  stop = true;
  thread.join();
}

TEST(Fork, NothingIsLeftOpenAcrossExec) {
  Pair pair({.socket = "", .rx_mode = RxMode::polling});
  ASSERT_TRUE(pair.connect());
  EXPECT_EQ(std::system("for fd in /proc/$$/fd/*; do "
                        "case $(readlink $fd) in *memif*|*eventfd*|*eventpoll*|*timerfd*) exit 1;; esac; done"),
            0);
}

}  // namespace
}  // namespace memif
