// How a receiver waits, at loads from idle to full: CPU time, latency one way, interrupts and sleeps. One JSON object a
// line.
//   waiting [MILLISECONDS [SPIN_MICROSECONDS...]]      the spins of adaptive mode that are tried; default: 50
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>

#include "library_end.hpp"

namespace {

using namespace bench;
using namespace std::chrono_literals;

std::uint64_t now_ns() { return static_cast<std::uint64_t>(Clock::now().time_since_epoch() / 1ns); }

double cpu_seconds() {
  timespec time;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// Packets one at a time, evenly spaced, or as many as fit (rate 0, bursts of 32); each with the time it was sent.
void send(memif::TxQueue& tx, double rate, std::chrono::milliseconds time) {
  pin(0);
  std::array<memif::Buffer, 32> buffers;
  const auto start = Clock::now();
  std::uint64_t sent = 0;
  while (Clock::now() - start < time) {
    const double due = std::chrono::duration<double>(Clock::now() - start).count() * rate;
    if (rate > 0 && static_cast<double>(sent) >= due) {
      relax();
      continue;
    }
    memif::TxBurst out = tx.allocate(buffers, 64, rate > 0 ? 1 : 32);
    const std::uint64_t now = now_ns();
    for (memif::Buffer& buffer : out.buffers()) std::memcpy(buffer.data(), &now, sizeof now);
    sent += out.send();
  }
}

void run(const char* name, memif::RxMode mode, std::chrono::microseconds spin, double rate,
         std::chrono::milliseconds time) {
  Library library({}, mode, spin);
  memif::RxQueue& rx = library.rx();
  std::vector<double> latencies;
  latencies.reserve(1 << 20);
  std::atomic<bool> stop{false};
  double cpu = 0, seconds = 0;
  std::uint64_t received = 0;
  std::thread receiver([&] {
    pin(1);
    std::array<memif::Buffer, 64> buffers;
    const double cpu_before = cpu_seconds();
    const auto start = Clock::now();
    while (!stop.load(std::memory_order_relaxed)) {
      rx.wait(20ms);
      const memif::RxBurst in = rx.receive(buffers);
      if (in.empty()) continue;
      const std::uint64_t now = now_ns();
      received += in.size();
      std::uint64_t sent;
      std::memcpy(&sent, in.buffers().front().data(), sizeof sent);
      if (latencies.size() < latencies.capacity()) latencies.push_back(static_cast<double>(now - sent));
    }
    cpu = cpu_seconds() - cpu_before;
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
  });
  std::thread sender([&] {
    if (rate >= 0)
      send(library.tx(), rate, time);
    else
      std::this_thread::sleep_for(time);
  });
  sender.join();
  stop.store(true, std::memory_order_relaxed);
  receiver.join();
  const std::uint64_t interrupts = library.tx().counters().interrupts.get(),
                      bursts = library.tx().counters().bursts.get();
  const std::uint64_t sleeps = rx.counters().sleeps.get();
  std::printf(
      "{\"bench\": \"waiting\", \"mode\": \"%s\", \"spin_us\": %ld, \"load_pps\": %.0f, \"received_pps\": %.0f, "
      "\"cpu_percent\": %.1f, \"p50_ns\": %.0f, \"p99_ns\": %.0f, \"bursts\": %lu, \"interrupts\": %lu, "
      "\"sleeps\": %lu}\n",
      name, static_cast<long>(spin.count()), std::max(rate, 0.0), static_cast<double>(received) / seconds,
      100 * cpu / seconds, percentile(latencies, 50), percentile(latencies, 99), bursts, interrupts, sleeps);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const auto time = std::chrono::milliseconds(argc > 1 ? std::atoi(argv[1]) : 400);
  std::vector<std::chrono::microseconds> spins;
  for (int i = 2; i < argc; ++i) spins.emplace_back(std::atoi(argv[i]));
  if (spins.empty()) spins.emplace_back(50);
  constexpr double idle = -1, full = 0;
  for (const double load : {idle, 1e2, 1e3, 1e4, 3e4, 1e5, 1e6, full}) {
    run("polling", memif::RxMode::polling, 0us, load, time);
    run("interrupt", memif::RxMode::interrupt, 0us, load, time);
    for (const auto spin : spins) run("adaptive", memif::RxMode::adaptive, spin, load, time);
  }
}
