// A process that opens thousands of connections to a listener and says nothing on any of them, for as long as it lives.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <deque>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "child.hpp"
#include "support/pair.hpp"
#include "support/resources.hpp"

namespace memif::stress {
namespace {

using namespace std::chrono_literals;
using test::open_descriptors;

constexpr std::size_t half_open = 3000;
constexpr unsigned kept = 256;  // by the listener: ContextConfig::max_unidentified_connections
constexpr int good_clients = 20;

// Holds that many connections, and replaces the oldest forever. Those which the listener drops stay open at this end.
class Flood {
 public:
  explicit Flood(const std::string& socket) {
    opened_ = static_cast<std::atomic<std::uint64_t>*>(
        ::mmap(nullptr, sizeof *opened_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    new (opened_) std::atomic<std::uint64_t>(0);
    pid_ = ::fork();
    if (pid_ == 0) run(socket);
  }
  ~Flood() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::munmap(opened_, sizeof *opened_);
  }
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;

  std::uint64_t opened() const { return opened_->load(std::memory_order_relaxed); }
  // What it has opened stays open.
  void pause() const { ::kill(pid_, SIGSTOP); }
  void go_on() const { ::kill(pid_, SIGCONT); }

 private:
  [[noreturn]] void run(const std::string& socket) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    rlimit limit{half_open + 64, half_open + 64};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) ::_exit(1);
    sockaddr_un address{AF_UNIX, {}};
    std::memcpy(address.sun_path + 1, socket.data() + 1, socket.size() - 1);
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size());
    std::deque<int> open;
    while (true) {
      const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
      if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0) ::_exit(1);
      opened_->fetch_add(1, std::memory_order_relaxed);
      open.push_back(fd);
      if (open.size() <= half_open) continue;
      ::close(open.front());
      open.pop_front();
    }
  }

  std::atomic<std::uint64_t>* opened_;
  pid_t pid_;
};

// The listener, on a thread of its own as in a program of its own.
class Victim {
 public:
  explicit Victim(const std::string& socket) : socket_(socket) {
    context_.add({.socket = socket, .role = Role::server, .ring_size = 64});
    thread_ = std::thread([this] {
      while (!stop_.load(std::memory_order_relaxed)) {
        context_.poll(10ms);
        const ListenerStats stats = context_.listener_stats(socket_).value();
        accepted_.store(stats.accepted, std::memory_order_relaxed);
        evicted_.store(stats.evicted, std::memory_order_relaxed);
      }
    });
  }
  ~Victim() {
    stop_.store(true, std::memory_order_relaxed);
    thread_.join();
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  std::uint64_t accepted() const { return accepted_.load(std::memory_order_relaxed); }
  std::uint64_t evicted() const { return evicted_.load(std::memory_order_relaxed); }

 private:
  std::string socket_;
  Context context_{{.app_name = "flooded", .max_unidentified_connections = kept}};
  std::atomic<std::uint64_t> accepted_{0}, evicted_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// How long good clients take to get their link, one after the other; sorted.
struct Served {
  std::vector<double> ms{};
  std::size_t most_descriptors = 0;

  void serve(const std::string& socket) {
    Context context{{.app_name = "good client"}};
    for (int i = 0; i < good_clients; ++i) {
      const auto start = Clock::now();
      Interface& client = context.add({.socket = socket, .ring_size = 64, .reconnect = 10ms});
      ASSERT_TRUE(test::poll_until({&context}, [&] { return client.connected(); })) << "client " << i;
      ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
      most_descriptors = std::max(most_descriptors, open_descriptors());
      context.remove(client);
    }
    std::sort(ms.begin(), ms.end());
  }
  double median() const { return ms[ms.size() / 2]; }
  void print(const char* when) const {
    std::printf("%s, a good client was served in %.2f ms (median), %.2f ms (longest of %zu)\n", when, median(),
                ms.back(), ms.size());
  }
};

TEST(FloodTiming, OfHalfOpenConnectionsHoldsUpNoGoodClientAndTakesNoDescriptors) {
  {
    test::Pair pair;  // what a process keeps from its first link on is not the flood's
    ASSERT_TRUE(pair.connect());
  }
  const std::string socket = test::unique_socket();
  const std::size_t before = open_descriptors();
  Served standing, rising;
  {
    Context waiting{{.app_name = "the test"}};
    Victim victim(socket);
    const Flood flood(socket);
    ASSERT_TRUE(test::poll_until({&waiting}, [&] { return victim.accepted() > half_open; }));
    flood.pause();
    ASSERT_TRUE(test::poll_until({&waiting}, [&] { return victim.accepted() >= flood.opened(); }));
    ASSERT_NO_FATAL_FAILURE(standing.serve(socket));
    flood.go_on();
    ASSERT_TRUE(test::poll_until({&waiting}, [&] { return victim.accepted() > 2 * half_open; }));
    ASSERT_NO_FATAL_FAILURE(rising.serve(socket));
    EXPECT_GT(victim.evicted(), half_open - kept);
    std::printf("%llu connections were accepted, %llu of them dropped for newer ones\n",
                static_cast<unsigned long long>(victim.accepted()), static_cast<unsigned long long>(victim.evicted()));
  }
  standing.print("with 3,000 half-open connections");
  rising.print("while as many as possible are opened");
  EXPECT_LE(standing.median(), 100);
  // A listener's queue is 4,096 long, and good clients stand in it too.
  EXPECT_LE(rising.median(), 3000);
  // Both ends of the good link, two event loops and the listener itself have descriptors too.
  EXPECT_LE(std::max(standing.most_descriptors, rising.most_descriptors), before + kept + 64);
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace memif::stress
