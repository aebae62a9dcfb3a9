// The control plane: connecting many interfaces on one socket, what an idle one costs in memory and in CPU time. One
// JSON object a line.
//   control [IDLE_SECONDS]
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

#include <memif/memif.hpp>

#include "harness.hpp"

namespace {

using namespace bench;
using namespace std::chrono_literals;

// Both ends of `count` links over one socket, a context for each end, connected one after the other.
class Links {
 public:
  Links(std::size_t count, std::uint32_t ring) {
    static int sockets = 0;
    memif::InterfaceConfig config{
        .socket = "@memifpp-bench-control-" + std::to_string(::getpid()) + "-" + std::to_string(sockets++),
        .ring_size = ring,
        .rx_mode = memif::RxMode::interrupt};
    for (config.id = 0; config.id < count; ++config.id) {
      config.role = memif::Role::server;
      ends_.push_back(&servers_.add(config));
      config.role = memif::Role::client;
      ends_.push_back(&clients_.add(config));
      while (!ends_.rbegin()[0]->connected() || !ends_.rbegin()[1]->connected()) poll(std::chrono::milliseconds(0));
    }
  }
  void poll(std::chrono::milliseconds timeout) {
    servers_.poll(timeout);
    clients_.poll(timeout);
  }
  // The queues take their links, as they do at their first call.
  void renew() {
    for (memif::Interface* end : ends_) end->rx(0).up(), end->tx(0).up();
  }
  const std::vector<memif::Interface*>& ends() const { return ends_; }

 private:
  memif::Context servers_{{.app_name = "bench"}}, clients_{{.app_name = "bench"}};
  std::vector<memif::Interface*> ends_;
};

// Microseconds an interface, the median of some rounds.
double connect_time(std::size_t count, int rounds) {
  std::vector<double> times;
  for (int round = 0; round < rounds; ++round) {
    const auto start = Clock::now();
    const Links links(count, 64);
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count() /
                    static_cast<double>(count));
  }
  return median(times);
}

// Of the process, without memory shared with a peer: rings and buffers are that.
long anonymous_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key;) {
    long value;
    if (key == "RssAnon:" && status >> value) return value;
  }
  return 0;
}

// KiB an interface, one end.
double memory(std::uint32_t ring) {
  constexpr std::size_t count = 200;
  const long before = anonymous_kib();
  Links links(count, ring);
  links.renew();
  return static_cast<double>(anonymous_kib() - before) / (2 * count);
}

double cpu_ms() {
  rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

// CPU milliseconds of 64 connected interfaces on interrupts, each queue with a thread that waits for packets, and of
// their two contexts.
double idle_cpu(std::chrono::seconds time) {
  Links links(64, 1024);
  std::vector<std::thread> waiting;
  for (memif::Interface* end : links.ends()) waiting.emplace_back([end, time] { end->rx(0).wait(time); });
  std::this_thread::sleep_for(200ms);  // until all of them sleep
  const double before = cpu_ms();
  links.poll(std::chrono::milliseconds(time) / 2 - 150ms);  // the two contexts wait one after the other
  const double spent = cpu_ms() - before;
  for (std::thread& thread : waiting) thread.join();
  return spent;
}

}  // namespace

int main(int argc, char** argv) {
  rlimit files;
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);

  const std::chrono::seconds idle(argc > 1 ? std::max(1, std::atoi(argv[1])) : 10);
  std::printf("{\"bench\": \"memory\", \"ring\": 64, \"kib_per_interface\": %.1f}\n", memory(64));
  std::printf("{\"bench\": \"memory\", \"ring\": 1024, \"kib_per_interface\": %.1f}\n", memory(1024));
  connect_time(10, 1);
  const double few = connect_time(10, 21), many = connect_time(1000, 3);
  std::printf(
      "{\"bench\": \"connect\", \"us_per_interface_10\": %.1f, \"us_per_interface_1000\": %.1f, \"ratio\": %.3f}\n",
      few, many, many / few);
  std::printf("{\"bench\": \"idle\", \"interfaces\": 64, \"seconds\": %ld, \"cpu_ms\": %.2f}\n",
              static_cast<long>(idle.count()), idle_cpu(idle));
}
