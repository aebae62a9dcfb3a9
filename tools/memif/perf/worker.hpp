// One thread of memif perf: sends on a queue, receives on a queue, or both, or returns what it receives.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <memif/memif.hpp>

#include "common/latency.hpp"
#include "net/codec.hpp"
#include "perf/packet.hpp"
#include "perf/sequence.hpp"

namespace memif::tool {

struct PerfLoad {
  std::vector<Bytes> packets;  // sent in turn
  std::size_t burst = 32;      // packets
  double rate = 0;             // packets a second of one thread; 0: as many as the peer takes
};

// What a thread has done so far: written by it alone, read by anyone.
struct PerfCounts {
  Counter sent, sent_bytes, received, received_bytes;
  Counter arrived;       // of those received, different packets of memif perf
  Counter foreign;       // of those received, without a mark of memif perf
  Counter out_of_order;  // of those received, behind one with a higher number
  Counter duplicates;    // of those received, come before
};

class alignas(128) PerfWorker {
 public:
  struct Job {
    TxQueue* tx = nullptr;       // may be missing, if there is one to receive from; all must outlive the worker
    std::vector<RxQueue*> rx{};  // in turn
    bool reflect = false;        // sends what it receives, and nothing else
    std::uint16_t queue = 0;
    std::optional<unsigned> cpu{};  // to run on
  };

  PerfWorker(Job job, Mode mode, const PerfLoad& load);

  // Until stop(). Sending ends before, with stop_sending(): then the worker waits for the peer to take what is in the
  // ring, and goes on receiving.
  void run();
  void stop_sending() noexcept { sending_.store(false, std::memory_order_relaxed); }
  void stop() noexcept { running_.store(false, std::memory_order_relaxed); }

  // True after stop_sending() when the peer has taken everything.
  bool drained() const noexcept { return drained_.load(std::memory_order_relaxed); }
  const char* does() const noexcept;  // in a word, for reports
  bool sends() const noexcept { return job_.tx != nullptr && !job_.reflect; }

  const PerfCounts& counts() const noexcept { return counts_; }

  // For after run().
  const LatencyStats& latency() const noexcept { return latency_; }
  const std::map<std::uint16_t, PerfSequence>& sequences() const noexcept { return sequences_; }
  std::uint16_t queue() const noexcept { return job_.queue; }

 private:
  std::size_t due() const;
  std::size_t send();
  std::size_t fill(std::size_t wanted, TxBurst& burst);
  void write_alike(std::span<Buffer> buffers) const noexcept;
  std::size_t receive(RxQueue& from);
  bool inspect(const Packet& packet, std::uint64_t now);
  std::size_t reflect(RxQueue& from);
  void idle();

  const Job job_;
  const std::size_t mark_at_;
  const PerfLoad& load_;
  std::vector<Buffer> out_, in_;
  std::vector<Bytes> packets_;  // this thread's own copy, with its marks
  bool one_size_;
  std::chrono::steady_clock::time_point began_;
  std::size_t turn_ = 0;        // in packets_
  std::uint64_t sequence_ = 0;  // of the next packet
  std::uint64_t bursts_ = 0;
  unsigned idle_turns_ = 0;
  PerfCounts counts_;
  LatencyStats latency_;
  std::map<std::uint16_t, PerfSequence> sequences_;  // by queue of the sender
  std::map<std::uint16_t, PerfSequence>::iterator sequence_of_ = sequences_.end();
  std::atomic<bool> sending_{true}, running_{true}, drained_{false};
};

}  // namespace memif::tool
