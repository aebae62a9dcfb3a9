// One end of the stress tests as a process of its own: sends and checks numbered packets on every queue.
//   stress_peer --socket S --role server|client [--packets N] [--queues N] [--threads N] [--ring N] [--buffer N]
//               [--mode polling|interrupt|adaptive] [--max-size N] [--seed N] [--seconds N]
// --packets is for each queue each way; 0 goes on until killed. Exit code 0: all came, each once, in order, unchanged.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>

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
          .reconnect = std::chrono::milliseconds(20)};
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

// Runs the lanes on their threads while this one serves the control channel; false if the time was over before.
bool run(Context& context, const std::vector<std::unique_ptr<stress::Lane>>& lanes, const Arguments& arguments) {
  const std::size_t threads = arguments.number("threads", 1);
  const auto deadline = Clock::now() + std::chrono::seconds(arguments.number("seconds", 3600));
  std::vector<std::vector<stress::Lane*>> shares(threads);
  for (std::size_t i = 0; i < lanes.size(); ++i) shares[i % threads].push_back(lanes[i].get());
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> working{threads};
  std::vector<std::jthread> workers;
  for (const auto& share : shares)
    workers.emplace_back([&] {
      stress::work(share, stop);
      --working;
      context.wake();
    });
  while (working != 0 && !stop) {
    context.poll(std::chrono::milliseconds(100));
    if (Clock::now() > deadline) stop = true;
  }
  return !stop;
}

int report(const std::vector<std::unique_ptr<stress::Lane>>& lanes, bool finished, double seconds) {
  std::uint64_t sent = 0, received = 0, bytes = 0, errors = 0;
  for (const auto& lane : lanes) {
    sent += lane->sent();
    received += lane->received();
    bytes += lane->bytes();
    errors += lane->errors();
    if (lane->errors() != 0) std::fprintf(stderr, "stress_peer: %s\n", lane->first_error().c_str());
  }
  std::printf("{\"schema\":1,\"sent\":%llu,\"received\":%llu,\"bytes\":%llu,\"errors\":%llu,\"seconds\":%.2f}\n",
              static_cast<unsigned long long>(sent), static_cast<unsigned long long>(received),
              static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(errors), seconds);
  if (!finished) std::fprintf(stderr, "stress_peer: not done after %.0f s\n", seconds);
  return finished && errors == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** words) try {
  const Arguments arguments(count, words);
  Context context{{.app_name = "stress_peer"}};
  Interface& port = context.add(configure(arguments));
  const auto lanes = make_lanes(port, arguments);
  const auto start = Clock::now();
  const bool finished = run(context, lanes, arguments);
  return report(lanes, finished, std::chrono::duration<double>(Clock::now() - start).count());
} catch (const std::exception& error) {
  std::fprintf(stderr, "stress_peer: %s\n", error.what());
  return 1;
}
