// One thread of memif perf: sends on a queue, receives on a queue, or both, or returns what it receives.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include <memif/memif.hpp>

#include "perf/counts.hpp"
#include "perf/receiver.hpp"
#include "perf/sender.hpp"

namespace memif::tool {

// What a thread tells now and then beside its counts.
struct PerfNews {
  LatencyStats latency;                             // since the last news
  std::map<std::uint16_t, std::uint64_t> expected;  // by series, packets that should have come so far
  std::uint64_t arrived = 0;                        // of these
  std::uint64_t cpu_ns = 0;                         // time that the thread has run on a CPU so far
};

class alignas(128) PerfWorker {
 public:
  struct Job {
    TxQueue* tx = nullptr;       // may be missing, if there is one to receive from; all must outlive the worker
    std::vector<RxQueue*> rx{};  // in turn
    bool reflect = false;        // sends what it receives, and nothing else
    std::uint16_t queue = 0;
    std::optional<unsigned> cpu{};         // to run on
    const PerfTraffic* traffic = nullptr;  // what it sends, if it does more than to receive and to reflect
    PerfPace pace{};
    std::uint16_t series = 0;  // of what it sends
    PerfReceiver::Settings receiver{};
  };

  explicit PerfWorker(Job job);

  // Until stop(). Sending ends before, with stop_sending(): then the worker waits for the peer to take what is in the
  // ring, and goes on receiving.
  void run();
  void stop_sending() noexcept { orders_.fetch_or(no_sending, std::memory_order_relaxed); }
  void stop() noexcept { orders_.fetch_or(no_running, std::memory_order_relaxed); }

  // Asks for news, which come when the thread has moved on.
  void ask() noexcept { orders_.fetch_add(one_question, std::memory_order_relaxed); }
  bool asked() const noexcept { return answered_.load(std::memory_order_acquire) != orders_.load() / one_question; }
  PerfNews take_news();  // since the last call; all of them after run()

  // True after stop_sending(), or when all was sent, if the peer has taken everything.
  bool drained() const noexcept { return drained_.load(std::memory_order_relaxed); }
  const char* does() const noexcept;  // in a word, for reports
  bool sends() const noexcept { return sender_.has_value(); }
  bool receives() const noexcept { return !job_.rx.empty(); }

  std::uint64_t last_ns() const noexcept { return sender_ ? sender_->last_ns() : 0; }  // after run(): of what it sent

  const PerfCounts& counts() const noexcept { return counts_; }
  std::uint16_t queue() const noexcept { return job_.queue; }

 private:
  static constexpr unsigned no_sending = 1, no_running = 2, one_question = 4;  // bits of orders_, and a number

  void obey(unsigned orders);
  void tell();
  std::size_t turn();
  std::size_t reflect(RxQueue& from);
  void idle();

  const Job job_;
  PerfCounts counts_;
  std::optional<PerfSender> sender_;
  std::optional<PerfReceiver> receiver_;
  std::vector<Buffer> in_;  // of a reflector
  bool sending_ = false;
  unsigned idle_turns_ = 0;

  std::atomic<unsigned> orders_{0};
  unsigned obeyed_ = 0;
  std::atomic<bool> drained_{false};
  std::atomic<unsigned> answered_{0};  // questions
  std::mutex news_lock_;
  PerfNews news_;
};

}  // namespace memif::tool
