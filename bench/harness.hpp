// What all benchmarks share: two pinned threads for a stretch of time, medians, touching packets.
#pragma once

#include <algorithm>
#include <array>
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

// `values` is sorted by this. Nearest rank.
inline double percentile(std::vector<double>& values, double percent) {
  if (values.empty()) return 0;
  if (!std::is_sorted(values.begin(), values.end())) std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(percent / 100 * static_cast<double>(values.size()));
  return values[std::min(rank, values.size() - 1)];
}

// What a spinning thread does between two looks.
inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// What an application does that has nothing else to do: the line of the index that it looks at stays with the peer.
inline void pause() {
  for (int i = 0; i < 8; ++i) relax();
}

// Keeps a value that the optimizer would otherwise find useless.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

// How an application handles a packet's bytes. All kinds move each of its cache lines once.
//   written: every byte is stored, and the packet's length beside it, packet by packet; every byte is read. Programs do
//            so.
//   lines:   one word of each line, the length is that which was asked for: the ideal loop.
//   copy:    all of it is copied in and out.
//   mixed:   copied in and out, each with a length of its own.
enum class Touch { written, lines, copy, mixed };

// Lengths as they are met in networks, 7 : 4 : 1. The shape's is the longest.
constexpr std::size_t mixed_sizes = 1024;
inline constexpr std::array<std::uint16_t, mixed_sizes> mixed = [] {
  std::array<std::uint16_t, mixed_sizes> sizes{};
  constexpr std::uint16_t twelve[] = {64, 570, 64, 64, 570, 64, 1518, 64, 570, 64, 64, 570};
  for (std::size_t i = 0; i < mixed_sizes; ++i) sizes[i] = twelve[i % std::size(twelve)];
  return sizes;
}();
constexpr std::size_t longest_mixed = 1518;

// How much of a packet that lies in one line is touched: a constant, as in programs.
constexpr std::size_t in_one_line(Touch touch) { return touch == Touch::written ? 64 : 8; }

// Which packets move through which ring. A constant of the probe's loops.
struct Shape {
  std::size_t size = 64;    // bytes a packet
  std::size_t ring = 1024;  // descriptors
  bool to_server = true;
  Touch touch = Touch::lines;
  std::size_t buffer = 2048;  // bytes; longer packets are chains

  constexpr std::size_t parts() const { return (size + buffer - 1) / buffer; }  // buffers a packet
  constexpr std::size_t part(std::size_t p) const { return p + 1 < parts() ? buffer : size - p * buffer; }
};

struct Traffic {
  Shape shape{};
  std::size_t burst = 32;  // packets
  std::size_t queues = 1;  // one thread a side serves them in turn

  const char* direction() const { return shape.to_server ? "client_to_server" : "server_to_client"; }
  const char* touch() const {
    switch (shape.touch) {
      case Touch::written:
        return "written";
      case Touch::lines:
        return "in_place";
      case Touch::copy:
        return "copy";
      case Touch::mixed:
        break;
    }
    return "mixed";
  }
};

// A compiler that knows the size of a copy of some hundred bytes writes `rep movs` for it, which takes several times as
// long as the C library's memcpy().
inline std::size_t as_unknown(std::size_t size) {
  if (size > 256) asm volatile("" : "+r"(size));
  return size;
}

inline void produce(std::byte* data, std::size_t size, Touch touch, std::uint64_t value, const std::byte* source) {
  if (touch == Touch::copy || touch == Touch::mixed) {
    std::memcpy(data, source, as_unknown(size));
    return;
  }
  const std::size_t step = touch == Touch::written ? sizeof value : 64;
  for (std::size_t at = 0; at + sizeof value <= size; at += step) std::memcpy(data + at, &value, sizeof value);
}

inline std::uint64_t consume(const std::byte* data, std::size_t size, Touch touch, std::byte* target) {
  if (touch == Touch::copy || touch == Touch::mixed) {
    std::memcpy(target, data, as_unknown(size));
    return 0;
  }
  std::uint64_t sum = 0;
  const std::size_t step = touch == Touch::written ? sizeof sum : 64;
  for (std::size_t at = 0; at + sizeof sum <= size; at += step) {
    std::uint64_t value;
    std::memcpy(&value, data + at, sizeof value);
    sum += value;
  }
  return sum;
}

// One stretch of time, as its two threads see it.
struct Stretch {
  std::chrono::milliseconds time;
  std::atomic<bool> ready{false}, stop{false};
  double rate = 0;
};

template <class Turn>
void produce_until_stopped(void* turn, Stretch& stretch) {
  pin(0);
  stretch.ready.store(true, std::memory_order_release);
  while (!stretch.stop.load(std::memory_order_relaxed)) (*static_cast<Turn*>(turn))();
}

template <class Turn>
void consume_for_a_while(void* turn, Stretch& stretch) {
  Turn& consume_some = *static_cast<Turn*>(turn);
  pin(1);
  while (!stretch.ready.load(std::memory_order_acquire)) {
  }
  const auto warm = Clock::now() + stretch.time / 10;
  while (Clock::now() < warm) consume_some();
  std::uint64_t packets = 0;
  const auto start = Clock::now();
  const auto end = start + stretch.time;
  auto now = start;
  do {
    for (int i = 0; i < 64; ++i) packets += consume_some();
    now = Clock::now();
  } while (now < end);
  stretch.rate = static_cast<double>(packets) / std::chrono::duration<double>(now - start).count();
  stretch.stop.store(true, std::memory_order_relaxed);
}

// Not a template: a thread's making is compiled once, however many loops there are.
inline double run_threads(std::chrono::milliseconds time, void (*produce_loop)(void*, Stretch&), void* producer,
                          void (*consume_loop)(void*, Stretch&), void* consumer) {
  Stretch stretch{.time = time};
  std::thread other([&] { produce_loop(producer, stretch); });
  std::thread own([&] { consume_loop(consumer, stretch); });
  own.join();
  other.join();
  return stretch.rate;
}

// Runs `produce_some` on one CPU and `consume_some` on another for `time`; the latter returns the packets it got.
// Returns packets a second.
template <class Producer, class Consumer>
double measure(std::chrono::milliseconds time, Producer produce_some, Consumer consume_some) {
  return run_threads(time, produce_until_stopped<Producer>, &produce_some, consume_for_a_while<Consumer>,
                     &consume_some);
}

}  // namespace bench
