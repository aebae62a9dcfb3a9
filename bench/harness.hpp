// What all benchmarks share: two pinned threads for a stretch of time, medians, touching packets.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <pthread.h>
#include <sched.h>
#include <span>
#include <thread>
#include <vector>

namespace bench {

using Clock = std::chrono::steady_clock;

inline void pin(unsigned cpu) {
  const unsigned cpus = std::max(1u, std::thread::hardware_concurrency());
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu % cpus, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Keeps a value that the optimizer would otherwise find useless.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

// How an application handles a packet's bytes. All kinds move each of its cache lines once.
enum class Touch { lines, copy };

inline void produce(std::byte* data, std::size_t size, Touch touch, std::uint64_t value, const std::byte* source) {
  if (touch == Touch::copy) {
    std::memcpy(data, source, size);
    return;
  }
  for (std::size_t at = 0; at + sizeof value <= size; at += 64) std::memcpy(data + at, &value, sizeof value);
}

inline std::uint64_t consume(const std::byte* data, std::size_t size, Touch touch, std::byte* target) {
  if (touch == Touch::copy) {
    std::memcpy(target, data, size);
    return 0;
  }
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at + sizeof sum <= size; at += 64) {
    std::uint64_t value;
    std::memcpy(&value, data + at, sizeof value);
    sum += value;
  }
  return sum;
}

// Runs `produce_some` on one CPU and `consume_some` on another for `time`; the latter returns the packets it got.
// Returns packets a second.
template <class Producer, class Consumer>
double measure(std::chrono::milliseconds time, Producer&& produce_some, Consumer&& consume_some) {
  std::atomic<bool> stop{false}, ready{false};
  std::thread producer([&] {
    pin(0);
    ready.store(true, std::memory_order_release);
    while (!stop.load(std::memory_order_relaxed)) produce_some();
  });
  double rate = 0;
  std::thread consumer([&] {
    pin(1);
    while (!ready.load(std::memory_order_acquire)) {
    }
    const auto warm = Clock::now() + time / 10;
    while (Clock::now() < warm) consume_some();
    std::uint64_t packets = 0;
    const auto start = Clock::now();
    const auto end = start + time;
    auto now = start;
    do {
      for (int i = 0; i < 64; ++i) packets += consume_some();
      now = Clock::now();
    } while (now < end);
    rate = static_cast<double>(packets) / std::chrono::duration<double>(now - start).count();
    stop.store(true, std::memory_order_relaxed);
  });
  consumer.join();
  stop.store(true, std::memory_order_relaxed);
  producer.join();
  return rate;
}

}  // namespace bench
