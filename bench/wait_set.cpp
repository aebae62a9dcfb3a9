// What WaitSet::wait() costs with one queue in the set, beside RxQueue::wait(): with packets there, and from sleep or
// spin to the packet (round trips of one packet). Interleaved in one process; one JSON object a line.
//   wait_set [ROUNDS [TRIPS]]
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "library_end.hpp"

namespace {

using namespace bench;
using namespace std::chrono_literals;

constexpr std::array<std::byte, 64> packet{};

// One end that waits for its packets in one of the two ways.
class End {
 public:
  End(memif::Interface& interface, bool in_set) : rx_(interface.rx(0)), tx_(interface.tx(0)), in_set_(in_set) {
    if (in_set_) set_.add(rx_, 0);
  }

  void send() {
    while (!tx_.send_copy(packet)) relax();
  }
  void receive() {
    std::array<memif::Buffer, 4> buffers;
    for (;;) {
      if (in_set_)
        set_.wait(-1ns);
      else
        rx_.wait(-1ns);
      if (!rx_.receive(buffers).empty()) return;
    }
  }

 private:
  memif::RxQueue& rx_;
  memif::TxQueue& tx_;
  bool in_set_;
  memif::WaitSet set_;
};

struct Ends {
  Ends(memif::RxMode mode, bool in_set) : library({}, mode) {
    client.emplace(library.client(), in_set);
    server.emplace(library.server(), in_set);
  }
  Library library;
  std::optional<End> client, server;
};

// All on one thread: the packet is there when the wait begins.
double pending(Ends& ends, std::size_t count) {
  pin(0);
  const auto start = Clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    ends.client->send();
    ends.server->receive();
  }
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / static_cast<double>(count);
}

double round_trip(Ends& ends, std::size_t count) {
  std::vector<double> times(count);
  std::thread other([&] {
    pin(1);
    for (std::size_t i = 0; i < count; ++i) {
      ends.server->receive();
      ends.server->send();
    }
  });
  std::thread own([&] {
    pin(0);
    for (double& time : times) {
      const auto start = Clock::now();
      ends.client->send();
      ends.client->receive();
      time = std::chrono::duration<double, std::nano>(Clock::now() - start).count();
    }
  });
  own.join();
  other.join();
  return percentile(times, 50);
}

template <class Measure>
void compare(const char* what, memif::RxMode mode, int rounds, std::size_t count, Measure measure) {
  Ends alone(mode, false), in_set(mode, true);
  std::vector<double> of_queue, of_set;
  measure(alone, count / 10);
  measure(in_set, count / 10);
  for (int i = 0; i < rounds; ++i) {
    of_queue.push_back(measure(alone, count));
    of_set.push_back(measure(in_set, count));
  }
  std::printf(
      "{\"bench\": \"wait_set\", \"what\": \"%s\", \"mode\": \"%s\", \"queue_ns\": %.1f, \"set_ns\": %.1f, "
      "\"ratio\": %.3f}\n",
      what, memif::to_string(mode), median(of_queue), median(of_set), median(of_set) / median(of_queue));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 9;
  const auto trips = static_cast<std::size_t>(argc > 2 ? std::atol(argv[2]) : 20000);
  for (const auto mode : {memif::RxMode::polling, memif::RxMode::interrupt, memif::RxMode::adaptive}) {
    compare("pending", mode, rounds, 10 * trips, pending);
    compare("round trip", mode, rounds, trips, round_trip);
  }
}
