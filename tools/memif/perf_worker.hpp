// One thread of memif perf: sends on a queue, receives on a queue, or both.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include <memif/memif.hpp>

#include "codec.hpp"
#include "latency.hpp"

namespace memif::tool {

struct PerfLoad {
  std::vector<Bytes> packets;  // sent in turn
  std::size_t burst = 32;
  double rate = 0;  // packets a second of this thread; 0: as fast as the peer takes them
};

// What a thread has done so far: written by it alone, read by anyone.
struct PerfCounts {
  std::atomic<std::uint64_t> sent{0}, sent_bytes{0}, received{0}, received_bytes{0}, foreign{0};
};

class PerfWorker {
 public:
  // Either queue may be missing. Both must outlive the worker.
  PerfWorker(TxQueue* tx, RxQueue* rx, Mode mode, std::uint16_t queue, const PerfLoad& load);

  // Until stop(). Sending ends earlier with stop_sending().
  void run();
  void stop_sending() noexcept { sending_.store(false, std::memory_order_relaxed); }
  void stop() noexcept { running_.store(false, std::memory_order_relaxed); }

  const PerfCounts& counts() const noexcept { return counts_; }

  // For after run().
  const LatencyStats& latency() const noexcept { return latency_; }
  std::uint64_t expected() const noexcept { return expected_; }  // by the highest sequence number seen

 private:
  std::size_t send();
  std::size_t receive();
  std::size_t allowed();
  void idle();

  TxQueue* tx_;
  RxQueue* rx_;
  std::size_t mark_at_;
  std::uint16_t queue_;
  const PerfLoad& load_;
  std::vector<Buffer> out_, in_;
  std::vector<Bytes> packets_;
  PerfCounts counts_;
  LatencyStats latency_;
  std::chrono::steady_clock::time_point began_;
  std::size_t turn_ = 0;        // in packets_
  std::uint64_t sequence_ = 0;  // of the next packet
  std::uint64_t bursts_ = 0;
  std::uint64_t expected_ = 0;
  std::atomic<bool> sending_{true}, running_{true};
};

}  // namespace memif::tool
