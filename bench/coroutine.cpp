// What `co_await rx.ready()` costs beside RxQueue::wait(): with packets there, and from sleep or spin to the packet
// (round trips of one packet, whose other end waits by RxQueue::wait() in both). Interleaved in one process; one JSON
// object a line.
//   coroutine [ROUNDS [TRIPS]]
#include <array>
#include <cstdio>
#include <cstdlib>

#include <memif/coroutine.hpp>

#include "library_end.hpp"

namespace {

using namespace bench;
using namespace std::chrono_literals;

constexpr std::array<std::byte, 64> packet{};

void send(memif::TxQueue& tx) {
  while (!tx.send_copy(packet)) relax();
}

std::size_t take(memif::RxQueue& rx) {
  std::array<memif::Buffer, 4> buffers;
  return rx.receive(buffers).size();
}

void receive(memif::RxQueue& rx) {
  do rx.wait(-1ns);
  while (take(rx) == 0);
}

double nanoseconds_each(Clock::time_point start, std::size_t count) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / static_cast<double>(count);
}

// All on one thread: the packet is there when the wait begins.
double pending_in_queue(Library& library, std::size_t count) {
  pin(0);
  const auto start = Clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    send(library.client().tx(0));
    receive(library.server().rx(0));
  }
  return nanoseconds_each(start, count);
}

memif::Task send_and_receive(Library& library, std::size_t count) {
  memif::RxQueue& rx = library.server().rx(0);
  for (std::size_t i = 0; i < count; ++i) {
    send(library.client().tx(0));
    do co_await rx.ready();
    while (take(rx) == 0);
  }
}

double pending_in_coroutine(Library& library, std::size_t count) {
  pin(0);
  const auto start = Clock::now();
  const memif::Task task = send_and_receive(library, count);
  while (!task.done()) library.context().poll(-1ms);
  return nanoseconds_each(start, count);
}

void echo_in_queue(Library& library, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    receive(library.server().rx(0));
    send(library.server().tx(0));
  }
}

memif::Task echo(memif::Interface& port, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    do co_await port.rx(0).ready();
    while (take(port.rx(0)) == 0);
    send(port.tx(0));
  }
}

void echo_in_coroutine(Library& library, std::size_t count) {
  const memif::Task task = echo(library.server(), count);
  while (!task.done()) library.context().poll(-1ms);
}

template <void (&echo_by)(Library&, std::size_t)>
double round_trip(Library& library, std::size_t count) {
  std::vector<double> times(count);
  std::thread other([&] {
    pin(1);
    echo_by(library, count);
  });
  std::thread own([&] {
    pin(0);
    for (double& time : times) {
      const auto start = Clock::now();
      send(library.client().tx(0));
      receive(library.client().rx(0));
      time = std::chrono::duration<double, std::nano>(Clock::now() - start).count();
    }
  });
  own.join();
  other.join();
  return percentile(times, 50);
}

using Measure = double (&)(Library&, std::size_t);

void compare(const char* what, memif::RxMode mode, int rounds, std::size_t count, Measure in_queue,
             Measure in_coroutine) {
  Library library({}, mode);
  std::vector<double> of_queue, of_coroutine;
  in_queue(library, count / 10);
  in_coroutine(library, count / 10);
  for (int i = 0; i < rounds; ++i) {
    of_queue.push_back(in_queue(library, count));
    of_coroutine.push_back(in_coroutine(library, count));
  }
  std::printf(
      "{\"bench\": \"coroutine\", \"what\": \"%s\", \"mode\": \"%s\", \"queue_ns\": %.1f, \"coroutine_ns\": %.1f, "
      "\"more_ns\": %.1f}\n",
      what, memif::to_string(mode), median(of_queue), median(of_coroutine), median(of_coroutine) - median(of_queue));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 9;
  const auto trips = static_cast<std::size_t>(argc > 2 ? std::atol(argv[2]) : 20000);
  for (const auto mode : {memif::RxMode::polling, memif::RxMode::interrupt, memif::RxMode::adaptive}) {
    compare("pending", mode, rounds, 10 * trips, pending_in_queue, pending_in_coroutine);
    compare("round trip", mode, rounds, trips, round_trip<echo_in_queue>, round_trip<echo_in_coroutine>);
  }
}
