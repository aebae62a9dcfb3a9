// The threads of memif perf: one a queue and port, and what they have done together.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "common/session.hpp"
#include "perf/result.hpp"
#include "perf/worker.hpp"

namespace memif::tool {

// What the threads of a port do. Those that exchange do both on one thread, as the peer's answers come on the queue of
// the same number. A partner reflects as a part of what is measured, and does not count itself.
enum class PerfRole { send, receive, exchange, reflect, partner };

// What the threads of a port are about. Everything must outlive them.
struct PerfPlace {
  const Port* port = nullptr;
  PerfRole role = PerfRole::exchange;
  unsigned sends = 0, receives = 0;      // the directions
  const PerfTraffic* traffic = nullptr;  // what it sends
  PerfPace pace{};                       // of all its queues together
  PerfSeries sent_series{};
  PerfReceiver::Settings receiver{};  // but for its queue
};

// What the threads have told at the same time, of one direction.
struct PerfArrivals {
  LatencyStats latency;  // since the last time
  std::uint64_t expected = 0, arrived = 0;
};

class PerfThreads {
 public:
  static constexpr unsigned directions = PerfSeries::directions;

  // They run on `cpus`, in turn, or anywhere if there are none.
  explicit PerfThreads(std::vector<unsigned> cpus) : cpus_(std::move(cpus)) {}
  ~PerfThreads() { stop(); }
  PerfThreads(const PerfThreads&) = delete;
  PerfThreads& operator=(const PerfThreads&) = delete;

  // For each queue that the port's link has.
  void add(const PerfPlace& place);

  void start();
  void stop_sending() noexcept;
  bool drained() const noexcept;  // after stop_sending(), or when all was sent: the peers have taken everything
  void stop() noexcept;

  // Of all but partners; at any time.
  PerfSums sums(unsigned direction) const;

  // Asks the threads and waits a moment for their answers: a thread that does not answer tells the next time.
  std::array<PerfArrivals, directions> ask();
  std::vector<PerfQueue> queues() const;  // after that

  std::uint64_t last_ns() const noexcept;  // after stop(): when the last packets were sent

 private:
  struct Member {
    std::unique_ptr<PerfWorker> worker;
    PerfRole role;
    unsigned sends, receives;
    PerfNews news;
  };

  void add_worker(const PerfPlace& place, std::size_t queue, const PerfPace& pace);
  std::array<PerfArrivals, directions> gather();

  std::vector<unsigned> cpus_;
  std::vector<Member> members_;
  std::vector<std::thread> threads_;
};

// Throws UsageError for a CPU that this may not run on.
void check_cpus(const std::vector<unsigned>& cpus);

}  // namespace memif::tool
