// The threads of memif perf: one a queue and port, and what they have done together.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "common/session.hpp"
#include "perf/report.hpp"
#include "perf/worker.hpp"

namespace memif::tool {

// What the threads of a port do. Those that exchange do both on one thread, as the peer's answers come on the queue of
// the same number. A partner reflects as a part of what is measured, and does not count itself.
enum class PerfRole { send, receive, exchange, reflect, partner };

class PerfThreads {
 public:
  // They run on `cpus`, in turn, or anywhere if there are none. Throws UsageError for a CPU that they may not run on.
  PerfThreads(Mode mode, PerfLoad load, std::vector<unsigned> cpus);
  ~PerfThreads() { stop(); }
  PerfThreads(const PerfThreads&) = delete;
  PerfThreads& operator=(const PerfThreads&) = delete;

  // For each queue that the port's link has. The port must outlive the threads.
  void add(const Port& port, PerfRole role);

  // The load's rate is shared by those that send.
  void start();
  void stop_sending() noexcept;
  bool drained() const noexcept;  // after stop_sending(): the peers have taken everything
  void stop() noexcept;

  // Of all but partners; at any time.
  PerfSums sums() const;

  // For after stop(): packets that a receiver should have had, by the highest number of each queue of the sender.
  std::uint64_t expected() const;
  // Adds latency and queues.
  void report(PerfResult& result) const;

 private:
  struct Member {
    std::unique_ptr<PerfWorker> worker;
    PerfRole role;
  };

  Mode mode_;
  PerfLoad load_;
  std::vector<unsigned> cpus_;
  std::vector<Member> members_;
  std::vector<std::thread> threads_;
};

}  // namespace memif::tool
