// The lock of the C API's data calls: capi/core/queue_lock.hpp.
#include "queue_lock.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <gtest/gtest.h>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace memif::capi {
namespace {

// More than it takes to own the queue.
constexpr long enough_to_own = 600;

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
  void data_calls(long count) {
    for (long i = 0; i != count; ++i) data_call();
  }
};

// Processor time of this thread in nanoseconds.
std::int64_t thread_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
}

TEST(QueueLock, IsOneThreadsAgainAndAgain) {
  Guarded queue;
  for (int i = 0; i != 10; ++i) {
    queue.data_calls(enough_to_own);
    std::thread([&queue] { queue.data_call(); }).join();
  }
  EXPECT_FALSE(queue.shared);
  EXPECT_EQ(queue.calls, 10 * (enough_to_own + 1));
}

// More of them than there are places; all live at once, so each is another thread.
TEST(QueueLockThreads, ManyOwnIt) {
  Guarded queue;
  std::mutex turn;
  std::atomic<bool> stop{false};
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  constexpr int count = 6;
  for (int i = 0; i != count; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j != 3; ++j) {
        const std::lock_guard guard(turn);
        queue.data_calls(enough_to_own);
      }
      ++done;
      while (!stop) std::this_thread::yield();
    });
  while (done != count) std::this_thread::yield();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(queue.shared);
  EXPECT_EQ(queue.calls, count * 3 * enough_to_own);
}

// Each visit begins while a worker owns the queue and goes on making calls. On a busy machine there are fewer.
TEST(QueueLockThreads, VisitorsAndAWorkerUseAQueueInTurn) {
  constexpr long most_visits = 2000, calls_a_visit = 3;
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
    while (worked.load(std::memory_order_relaxed) < before + enough_to_own) std::this_thread::yield();
    queue.data_calls(calls_a_visit);
  }
  stop = true;
  worker.join();
  EXPECT_FALSE(queue.shared);
  EXPECT_EQ(queue.calls, worked + visits * calls_a_visit);
}

// Whoever has it may be a thread of lower priority on the same processor, which runs only while the other sleeps.
TEST(QueueLockThreads, WhoeverWaitsLongSleeps) {
  constexpr std::chrono::milliseconds long_call(300);
  Guarded queue;
  std::atomic<bool> taken{false};
  std::thread holder([&] {
    const std::lock_guard guard(queue.lock);
    taken = true;
    std::this_thread::sleep_for(long_call);
  });
  while (!taken) std::this_thread::yield();
  const std::int64_t before = thread_time();
  queue.data_call();
  EXPECT_LT(thread_time() - before, 100'000'000);
  holder.join();
}

// A careless program: several go as fast as they can.
TEST(QueueLockThreads, ManyAtOnceUseItInTurn) {
  constexpr int count = 4;
  constexpr long calls_each = 20'000;
  Guarded queue;
  std::vector<std::thread> threads;
  for (int i = 0; i != count; ++i) threads.emplace_back([&] { queue.data_calls(calls_each); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(queue.shared);
  EXPECT_EQ(queue.calls, count * calls_each);
}

}  // namespace
}  // namespace memif::capi
