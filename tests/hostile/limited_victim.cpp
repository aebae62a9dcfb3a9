#include "limited_victim.hpp"

#include <atomic>
#include <csignal>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "raw_peer.hpp"

namespace memif::hostile {
namespace {

using namespace std::chrono_literals;

constexpr unsigned patience_s = 60;

std::string new_socket() {
  static int count = 0;
  return "@memifpp-limited-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
}

bool write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  return bool(file << text << std::flush);
}

std::uint64_t most_addresses() {
  std::ifstream status("/proc/self/status");
  std::uint64_t kib = 0;
  for (std::string word; status >> word;)
    if (word == "VmPeak:") status >> kib;
  return kib << 10;
}

// Both queues, as a data thread uses them.
class Worker {
 public:
  Worker(Interface& interface, bool signals_blocked) : interface_(interface) {
    if (signals_blocked) {
      sigset_t all, former;
      sigfillset(&all);
      ::pthread_sigmask(SIG_SETMASK, &all, &former);
      thread_ = std::thread([this] { run(); });
      ::pthread_sigmask(SIG_SETMASK, &former, nullptr);
    } else {
      thread_ = std::thread([this] { run(); });
    }
  }
  ~Worker() {
    stop_ = true;
    thread_.join();
  }
  void start() { started_ = true; }  // the queues are its own from now on
  bool started() const { return started_; }
  std::uint64_t packets() const { return packets_; }

 private:
  void run() {
    while (!stop_) {
      if (started_ && interface_.connected()) {
        receive();
        send();
      } else {
        std::this_thread::sleep_for(1ms);
      }
    }
  }
  void receive() {
    interface_.rx(0).wait(1ms);
    const RxBurst burst = interface_.rx(0).receive(buffers_);
    for (const Packet packet : burst)
      for (const Buffer& buffer : packet.buffers())
        for (const volatile std::byte& byte : buffer.bytes()) sum_ += std::to_integer<unsigned>(byte);
    packets_ += burst.size();
  }
  void send() {
    TxBurst burst = interface_.tx(0).allocate(std::span(buffers_).first(4), 64);
    for (const Packet packet : burst) std::memset(packet.data(), 0x5a, packet.size());
    burst.send();
  }

  Interface& interface_;
  std::array<Buffer, 32> buffers_;
  std::atomic<bool> stop_{false}, started_{false};
  std::atomic<std::uint64_t> packets_{0};
  unsigned sum_ = 0;
  std::thread thread_;
};

// Says 'r' when it is there, then serves until nobody holds the other end of `told` any more.
[[noreturn]] void serve(const LimitedVictim& victim, int told, int tell) {
  ::alarm(patience_s);
  if (!victim.confine()) ::_exit(77);
  Report report;
  {
    Context context({.log = [&](LogLevel, std::string_view line) {
      report.told += !victim.words.empty() && line.find(victim.words) != line.npos ? 1 : 0;
    }});
    Interface& interface = context.add(victim.config);
    for (InterfaceConfig more = victim.config; more.id + 1 < victim.config.id + victim.interfaces;) {
      ++more.id;
      context.add(more);
    }
    Worker worker(interface, victim.signals_blocked);
    if (::write(tell, "r", 1) != 1) ::_exit(1);
    for (char end; ::recv(told, &end, 1, MSG_DONTWAIT) != 0;) {
      context.poll(5ms);
      if (!interface.connected() || worker.started()) continue;
      if (victim.signals_blocked) interface.rx(0).up(), interface.tx(0).up();
      if (victim.confine_later && !victim.confine_later()) ::_exit(2);
      worker.start();
    }
    const InterfaceInfo info = interface.info();
    report.connects = info.connects;
    report.packets = worker.packets();
    if (info.last_reason) {
      report.code = info.last_reason->code.value();
      info.last_reason->text.copy(report.text.data(), report.text.size() - 1);
    }
  }
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  report.longest_resident = static_cast<std::uint64_t>(usage.ru_maxrss) << 10;
  report.most_addresses = most_addresses();
  ::_exit(::write(tell, &report, sizeof report) == sizeof report ? 0 : 1);
}

std::string fate(int status) {
  if (WIFSIGNALED(status)) return std::string("killed by ") + ::strsignal(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

Report outlive(const LimitedVictim& wanted, const std::function<void(const std::string& socket)>& attack,
               bool& possible) {
  Report report;
  LimitedVictim victim = wanted;
  victim.config.socket = new_socket();
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const pid_t victims_pid = ::fork();
  if (victims_pid == 0) {
    ::close(ends[0]);
    serve(victim, ends[1], ends[1]);
  }
  ::close(ends[1]);
  char ready = 0;
  possible = ::read(ends[0], &ready, 1) == 1;
  if (possible) {
    const pid_t attackers_pid = ::fork();
    if (attackers_pid == 0) {
      ::close(ends[0]);
      ::alarm(patience_s);
      attack(victim.config.socket);
      ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(attackers_pid, &status, 0), attackers_pid);
    EXPECT_EQ(status, 0) << "the attacker: " << fate(status);
    ::shutdown(ends[0], SHUT_WR);
    EXPECT_EQ(::read(ends[0], &report, sizeof report), static_cast<ssize_t>(sizeof report));
  }
  int status = 0;
  EXPECT_EQ(::waitpid(victims_pid, &status, 0), victims_pid);
  if (possible) {
    EXPECT_EQ(status, 0) << "the victim: " << fate(status);
  } else {
    EXPECT_EQ(WEXITSTATUS(status), 77) << "the victim: " << fate(status);
  }
  ::close(ends[0]);
  return report;
}

// Version 2 has one tree for all kinds of limits, version 1 one for each, in a directory where anything can be made.
MemoryGroup::MemoryGroup(std::uint64_t bytes) {
  const std::string name = "/memifpp-test-" + std::to_string(::getpid());
  const std::string size = std::to_string(bytes);
  for (const bool second : {true, false}) {
    const std::string tree = second ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    if (::access((tree + "/cgroup.procs").c_str(), F_OK) != 0) continue;
    if (second) write_file(tree + "/cgroup.subtree_control", "+memory");
    directory_ = tree + name;
    if (::mkdir(directory_.c_str(), 0755) != 0) continue;
    write_file(directory_ + (second ? "/memory.swap.max" : "/memory.swappiness"), "0");
    if (write_file(directory_ + (second ? "/memory.max" : "/memory.limit_in_bytes"), size)) return;
    ::rmdir(directory_.c_str());
  }
  directory_.clear();
}

MemoryGroup::~MemoryGroup() {
  if (made()) ::rmdir(directory_.c_str());
}

bool MemoryGroup::enter() const { return write_file(directory_ + "/cgroup.procs", std::to_string(::getpid())); }

}  // namespace memif::hostile
