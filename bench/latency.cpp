// The round trip of one packet: polling beside a bare ping-pong of two cache lines, and on interrupts beside a bare
// eventfd and epoll ping-pong. Interleaved in one process; one JSON object a line.
//   latency [ROUNDS [TRIPS]]
#include <cstdio>
#include <cstdlib>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "library_end.hpp"

namespace {

using namespace bench;
using namespace std::chrono_literals;

// `ask` goes there and back on one CPU while `answer` serves on another. Nanoseconds each trip.
template <class Ask, class Answer>
std::vector<double> trips(std::size_t count, Ask ask, Answer answer) {
  std::vector<double> times(count);
  std::thread other([&] {
    pin(1);
    for (std::size_t i = 0; i < count + count / 10; ++i) answer();
  });
  std::thread own([&] {
    pin(0);
    for (std::size_t i = 0; i < count / 10; ++i) ask();  // warm
    for (double& time : times) {
      const auto start = Clock::now();
      ask();
      time = std::chrono::duration<double, std::nano>(Clock::now() - start).count();
    }
  });
  own.join();
  other.join();
  return times;
}

// Two lines, written by one side each.
class Lines {
 public:
  void ask() {
    there_.value.store(++asked_, std::memory_order_release);
    while (back_.value.load(std::memory_order_acquire) != asked_) {
    }
  }
  void answer() {
    ++answered_;
    while (there_.value.load(std::memory_order_acquire) != answered_) {
    }
    back_.value.store(answered_, std::memory_order_release);
  }

 private:
  struct alignas(128) Line {
    std::atomic<std::uint64_t> value{0};
  };
  Line there_, back_;
  alignas(128) std::uint64_t asked_ = 0;
  alignas(128) std::uint64_t answered_ = 0;
};

// Two eventfds, waited for by epoll and read.
class Eventfds {
 public:
  void ask() {
    there_.signal();
    back_.wait();
  }
  void answer() {
    there_.wait();
    back_.signal();
  }

 private:
  struct Event {
    memif::Fd fd{::eventfd(0, EFD_NONBLOCK)}, epoll{::epoll_create1(0)};
    Event() {
      epoll_event event{.events = EPOLLIN, .data = {}};
      ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event);
    }
    void signal() { ::eventfd_write(fd.get(), 1); }
    void wait() {
      epoll_event event;
      eventfd_t value;
      do ::epoll_wait(epoll.get(), &event, 1, -1);
      while (::eventfd_read(fd.get(), &value) != 0);
    }
  };
  Event there_, back_;
};

class Memif {
 public:
  explicit Memif(memif::RxMode mode) : library_(Traffic{}, mode) {}
  void ask() {
    send(library_.client());
    receive(library_.client());
  }
  void answer() {
    receive(library_.server());
    send(library_.server());
  }

 private:
  static void send(memif::Interface& end) {
    std::array<memif::Buffer, 1> buffer;
    memif::TxBurst out = end.tx(0).allocate(buffer, 64);
    produce(buffer[0].data(), 64, Touch::lines, 1, nullptr);
    out.send();
  }
  static void receive(memif::Interface& end) {
    std::array<memif::Buffer, 1> buffer;
    while (true) {
      const memif::RxBurst in = end.rx(0).receive(buffer);
      if (!in.empty()) return keep(consume(buffer[0].data(), 64, Touch::lines, nullptr));
      if (end.rx(0).mode() != memif::RxMode::polling) end.rx(0).wait(1s);
    }
  }
  Library library_;
};

template <class Ours, class Bare>
void compare(const char* name, Ours& ours, Bare& bare, int rounds, std::size_t count) {
  std::vector<double> all, all_bare, p50s, bare_p50s, ratios;
  for (int round = 0; round < rounds; ++round) {
    auto lower = trips(
        count, [&] { bare.ask(); }, [&] { bare.answer(); });
    auto own = trips(
        count, [&] { ours.ask(); }, [&] { ours.answer(); });
    p50s.push_back(percentile(own, 50));
    bare_p50s.push_back(percentile(lower, 50));
    ratios.push_back(p50s.back() / bare_p50s.back());
    all.insert(all.end(), own.begin(), own.end());
    all_bare.insert(all_bare.end(), lower.begin(), lower.end());
  }
  std::printf(
      "{\"bench\": \"latency\", \"mode\": \"%s\", \"p50_ns\": %.0f, \"p99_ns\": %.0f, \"p99_9_ns\": %.0f, "
      "\"bare_p50_ns\": %.0f, \"bare_p99_ns\": %.0f, \"bare_p99_9_ns\": %.0f, \"ratio_p50\": %.3f}\n",
      name, median(p50s), percentile(all, 99), percentile(all, 99.9), median(bare_p50s), percentile(all_bare, 99),
      percentile(all_bare, 99.9), median(ratios));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 7;
  const std::size_t count = argc > 2 ? static_cast<std::size_t>(std::atol(argv[2])) : 50'000;
  Lines lines;
  Memif polling(memif::RxMode::polling);
  compare("polling", polling, lines, rounds, count);
  Eventfds eventfds;
  Memif interrupt(memif::RxMode::interrupt);
  compare("interrupt", interrupt, eventfds, rounds, count / 4);
}
