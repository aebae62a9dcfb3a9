// One end of the stress tests as a process of its own: sends and checks numbered packets on every queue.
//   stress_peer --socket S --role server|client [--packets N] [--queues N] [--threads N] [--ring N] [--buffer N]
//               [--mode polling|interrupt|adaptive] [--max-size N] [--seed N] [--seconds N] [--legs N] [--progress 1]
// --packets is for each queue each way on each of --legs links; 0 goes on until killed. Exit code 0: all came, each
// once, in order, unchanged, and the process has not grown from link to link.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "support/resources.hpp"
#include "traffic.hpp"

namespace {

using namespace memif;

class Arguments {
 public:
  Arguments(int count, char** words) {
    for (int i = 1; i + 1 < count; i += 2) values_[words[i]] = words[i + 1];
  }
  std::string text(const std::string& name, const std::string& otherwise) const {
    const auto found = values_.find("--" + name);
    return found == values_.end() ? otherwise : found->second;
  }
  std::uint64_t number(const std::string& name, std::uint64_t otherwise) const {
    return std::strtoull(text(name, std::to_string(otherwise)).c_str(), nullptr, 10);
  }

 private:
  std::map<std::string, std::string> values_;
};

RxMode parse_mode(const std::string& text) {
  for (const RxMode mode : {RxMode::polling, RxMode::interrupt, RxMode::adaptive})
    if (text == to_string(mode)) return mode;
  std::fprintf(stderr, "stress_peer: unknown mode %s\n", text.c_str());
  std::exit(2);
}

InterfaceConfig configure(const Arguments& arguments) {
  const auto queues = static_cast<std::uint16_t>(arguments.number("queues", 2));
  return {.socket = arguments.text("socket", "@memifpp-stress"),
          .role = arguments.text("role", "client") == "server" ? Role::server : Role::client,
          .rx_queues = queues,
          .tx_queues = queues,
          .ring_size = static_cast<std::uint32_t>(arguments.number("ring", 1024)),
          .buffer_size = static_cast<std::uint32_t>(arguments.number("buffer", 2048)),
          .rx_mode = parse_mode(arguments.text("mode", "adaptive")),
          .reconnect = std::chrono::milliseconds(arguments.number("legs", 1) > 1 ? 0 : 20)};
}

std::vector<std::unique_ptr<stress::Lane>> make_lanes(Interface& port, const Arguments& arguments) {
  std::vector<std::unique_ptr<stress::Lane>> lanes;
  for (std::uint16_t i = 0; i < port.config().rx_queues; ++i)
    lanes.push_back(std::make_unique<stress::Lane>(
        port.rx(i), port.tx(i),
        stress::LaneOptions{.seed = arguments.number("seed", 1) + i,
                            .packets = arguments.number("packets", 0),
                            .max_size = static_cast<std::uint32_t>(arguments.number("max-size", 9000)),
                            .ring_size = port.config().ring_size}));
  return lanes;
}

// What the legs so far have moved.
struct Totals {
  std::uint64_t sent = 0, received = 0, bytes = 0, errors = 0;

  void add(const std::vector<std::unique_ptr<stress::Lane>>& lanes) {
    for (const auto& lane : lanes) {
      sent += lane->sent();
      received += lane->received();
      bytes += lane->bytes();
      errors += lane->errors();
      if (lane->errors() != 0) std::fprintf(stderr, "stress_peer: %s\n", lane->first_error().c_str());
    }
  }
};

// One interface through all its legs. Each is a link of its own, on which all packets are exchanged anew.
class Journey {
 public:
  explicit Journey(const Arguments& arguments)
      : arguments_(arguments),
        legs_(arguments.number("legs", 1)),
        deadline_(start_ + std::chrono::seconds(arguments.number("seconds", 3600))) {}

  // The process's exit code.
  int run() {
    // Whoever first sleeps makes a descriptor for that, which stays.
    for (std::size_t i = 0; i < port_.config().rx_queues; ++i) port_.rx(i).wait(std::chrono::microseconds(1));
    bool finished = true;
    for (std::uint64_t leg = 0; finished && leg < legs_; ++leg) finished = travel(leg);
    report();
    if (!finished) std::fprintf(stderr, "stress_peer: not done after %.0f s\n", seconds());
    return finished && totals_.errors == 0 && !grown() ? 0 : 1;
  }

 private:
  static constexpr std::uint64_t first_measured = 3;  // links before it are for what is allocated once and kept

  bool travel(std::uint64_t leg) {
    if (!await_link(leg)) return false;
    if (leg == first_measured) before_ = measure();
    if (leg == legs_ - 1 && leg > first_measured) after_ = measure();
    const auto lanes = make_lanes(port_, arguments_);
    const bool finished = work(lanes);
    totals_.add(lanes);
    show(leg);
    return finished;
  }

  // The server is done when the client has taken everything, and ends the link. The client comes back when it is done
  // too, so that no lane meets with the next leg's packets.
  bool await_link(std::uint64_t leg) {
    const bool client = port_.config().role == Role::client;
    if (leg != 0 && !client) port_.disconnect("the next leg");
    return poll_until([&] {
      if (port_.info().disconnects < leg) return false;
      if (client) port_.connect();
      return port_.connected();
    });
  }

  // Runs the lanes on their threads while this one serves the control channel; false if the time was over before.
  bool work(const std::vector<std::unique_ptr<stress::Lane>>& lanes) {
    const std::size_t threads = arguments_.number("threads", 1);
    std::vector<std::vector<stress::Lane*>> shares(threads);
    for (std::size_t i = 0; i < lanes.size(); ++i) shares[i % threads].push_back(lanes[i].get());
    std::atomic<bool> stop{false};
    std::atomic<std::size_t> working{threads};
    std::vector<std::jthread> workers;
    for (const auto& share : shares)
      workers.emplace_back([&] {
        stress::work(share, stop);
        --working;
        context_.wake();
      });
    const bool finished = poll_until([&] { return working == 0; });
    stop = true;
    return finished;
  }

  template <class Done>
  bool poll_until(Done done) {
    while (!done()) {
      if (Clock::now() > deadline_) return false;
      context_.poll(std::chrono::milliseconds(100));
    }
    return true;
  }

  // On a link that has moved nothing yet, when no queue holds on to the last one.
  test::Resources measure() {
    for (std::size_t i = 0; i < port_.config().rx_queues; ++i) {
      port_.rx(i).up();
      port_.tx(i).up();
    }
    return test::resources();
  }
  bool grown() const {
    return after_.descriptors > before_.descriptors || after_.mappings > before_.mappings + 2 ||
           after_.heap > before_.heap + test::heap_noise();
  }

  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  void show(std::uint64_t leg) {
    if (arguments_.number("progress", 0) == 0 || Clock::now() < next_show_) return;
    next_show_ = Clock::now() + std::chrono::seconds(5);
    std::fprintf(stderr, "link %llu of %llu: %.1f million packets exchanged, %.0f s\n",
                 static_cast<unsigned long long>(leg + 1), static_cast<unsigned long long>(legs_),
                 static_cast<double>(totals_.sent + totals_.received) / 1e6, seconds());
  }

  void report() const {
    std::printf("{\"schema\":1,\"sent\":%llu,\"received\":%llu,\"bytes\":%llu,\"errors\":%llu,\"seconds\":%.2f",
                static_cast<unsigned long long>(totals_.sent), static_cast<unsigned long long>(totals_.received),
                static_cast<unsigned long long>(totals_.bytes), static_cast<unsigned long long>(totals_.errors),
                seconds());
    if (after_.descriptors != 0)
      std::printf(",\"links\":%llu,\"descriptors\":[%zu,%zu],\"mappings\":[%zu,%zu],\"heap\":[%zu,%zu]",
                  static_cast<unsigned long long>(legs_), before_.descriptors, after_.descriptors, before_.mappings,
                  after_.mappings, before_.heap, after_.heap);
    std::printf("}\n");
    if (grown()) std::fprintf(stderr, "stress_peer: the process has grown from link to link\n");
  }

  const Arguments& arguments_;
  std::uint64_t legs_;
  Clock::time_point start_ = Clock::now(), deadline_, next_show_{};
  Context context_{{.app_name = "stress_peer"}};
  Interface& port_ = context_.add(configure(arguments_));
  Totals totals_;
  test::Resources before_, after_;
};

}  // namespace

int main(int count, char** words) try {
  const Arguments arguments(count, words);
  return Journey(arguments).run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "stress_peer: %s\n", error.what());
  return 1;
}
