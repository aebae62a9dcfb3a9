// The lock of the C API's data calls: capi/common/queue_lock.hpp.
#include "queue_lock.hpp"

#include <atomic>
#include <chrono>
#include <gtest/gtest.h>
#include <mutex>
#include <thread>
#include <utility>

namespace memif::capi {
namespace {

// A worker goes on as fast as it can while callbacks of two other threads come and go.
TEST(QueueLockThreads, LetsOneInAtATimeWhoeverVisits) {
  QueueLock::prepare();
  QueueLock lock;
  std::uint64_t calls = 0;  // not atomic: the lock is what keeps it whole
  std::atomic<int> visitors = 2;
  constexpr int visits = 2'000, calls_a_visit = 3;
  const auto visit_often = [&] {
    for (int i = 0; i < visits; ++i) {
      const QueueLock::Visit visit;
      for (int j = 0; j < calls_a_visit; ++j) {
        lock.lock();
        ++calls;
        lock.unlock();
      }
    }
    --visitors;
  };
  std::thread first(visit_often), second(visit_often);
  std::uint64_t own = 0;
  while (visitors != 0) {
    lock.lock();
    ++calls;
    lock.unlock();
    ++own;
  }
  first.join();
  second.join();
  EXPECT_EQ(calls, own + 2 * visits * calls_a_visit);
}

// A queue as the lock protects it: nothing atomic, and whoever comes in between is noticed.
struct Guarded {
  QueueLock lock;
  long calls = 0;
  bool used = false;
  bool shared = false;

  void data_call() {
    const std::lock_guard guard(lock);
    shared |= std::exchange(used, true);
    ++calls;
    for (int i = 0; i < 50; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
    shared |= !std::exchange(used, false);
  }
};

// Each visit begins while the worker makes calls and sees nobody. On a busy machine there are fewer.
TEST(QueueLockThreads, VisitorsAndAWorkerUseAQueueInTurn) {
  constexpr long most_visits = 2000, calls_a_visit = 3;
  QueueLock::prepare();
  Guarded queue;
  std::atomic<long> worked{0};
  std::atomic<bool> stop{false};
  std::thread worker([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      queue.data_call();
      worked.fetch_add(1, std::memory_order_relaxed);
    }
  });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  long visits = 0;
  for (; visits == 0 || (visits != most_visits && std::chrono::steady_clock::now() < end); ++visits) {
    const long before = worked.load(std::memory_order_relaxed);
    while (worked.load(std::memory_order_relaxed) < before + 2) std::this_thread::yield();
    const QueueLock::Visit here;
    for (long call = 0; call != calls_a_visit; ++call) queue.data_call();
  }
  stop = true;
  worker.join();
  EXPECT_FALSE(queue.shared);
  EXPECT_EQ(queue.calls, worked + visits * calls_a_visit);
}

TEST(QueueLock, IsFreeAgainAfterAVisit) {
  QueueLock::prepare();
  QueueLock lock;
  {
    const QueueLock::Visit visit;
    lock.lock();
    lock.unlock();
  }
  lock.lock();
  lock.unlock();
  const QueueLock::Visit visit;
  lock.lock();
  lock.unlock();
}

}  // namespace
}  // namespace memif::capi
